#include "core/apps/pattern.h"

#include <algorithm>
#include <optional>

namespace smackd::apps {

using core::Errc;
using core::fail;
using core::Result;

namespace {

using Instruction = Pattern::Instruction;
using ByteSet = Pattern::ByteSet;
using Kind = Instruction::Kind;
/// A piece of program whose jumps are relative to its own start; it ends by falling off its end.
using Piece = std::vector<Instruction>;

bool in_class(char letter, unsigned char byte) {
    const bool digit = byte >= '0' && byte <= '9';
    switch (letter) {
        case 'd':
            return digit;
        case 'w':
            return digit || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_';
        case 's':
            return byte == ' ' || (byte >= '\t' && byte <= '\r');
        default:
            return false;
    }
}

std::optional<ByteSet> named_class(char letter) {
    const char lower = static_cast<char>(letter | 0x20);
    if (lower != 'd' && lower != 'w' && lower != 's') return std::nullopt;
    ByteSet set(256);
    for (unsigned byte = 0; byte < 256; ++byte)
        set[byte] = in_class(lower, static_cast<unsigned char>(byte)) == (letter == lower);
    return set;
}

ByteSet single(char c) {
    ByteSet set(256);
    set[static_cast<unsigned char>(c)] = true;
    return set;
}

void append(Piece& to, const Piece& from) {
    const auto offset = static_cast<uint32_t>(to.size());
    for (Instruction instruction : from) {
        instruction.first += offset;
        instruction.second += offset;
        to.push_back(instruction);
    }
}

class Compiler {
 public:
    explicit Compiler(std::string_view text) : text_(text) {}

    Result<Piece> whole() {
        TRY_ASSIGN(Piece piece, alternatives(0));
        if (at_ < text_.size()) return wrong("')' without '('");
        piece.push_back({Kind::kMatch});
        return piece;
    }
    std::vector<ByteSet> sets;

 private:
    template <class... Args>
    std::unexpected<core::Error> wrong(std::format_string<Args...> text, Args&&... args) const {
        return fail(Errc::kInvalid, "at byte {}: {}", at_, std::format(text, std::forward<Args>(args)...));
    }
    bool more() const { return at_ < text_.size(); }
    bool take(char c) {
        if (!more() || text_[at_] != c) return false;
        ++at_;
        return true;
    }

    Result<Piece> alternatives(size_t depth) {
        if (depth > kPatternDepthMax) return wrong("groups are nested deeper than {}", kPatternDepthMax);
        TRY_ASSIGN(Piece left, sequence(depth));
        while (take('|')) {
            TRY_ASSIGN(const Piece right, sequence(depth));
            Piece both;
            both.push_back({Kind::kSplit, 0, 1, static_cast<uint32_t>(left.size() + 2)});
            append(both, left);
            both.push_back({Kind::kJump, 0, static_cast<uint32_t>(left.size() + 2 + right.size()), 0});
            append(both, right);
            TRY(check_size(both.size()));
            left = std::move(both);
        }
        return left;
    }

    Result<Piece> sequence(size_t depth) {
        Piece piece;
        while (more() && text_[at_] != '|' && text_[at_] != ')') {
            TRY_ASSIGN(Piece one, atom(depth));
            TRY_ASSIGN(one, repeated(std::move(one)));
            append(piece, one);
            TRY(check_size(piece.size()));
        }
        return piece;
    }

    Result<Piece> atom(size_t depth) {
        const char c = text_[at_++];
        switch (c) {
            case '(':
                return group(depth);
            case '[':
                return set_of_class();
            case '.': {
                ByteSet any(256, true);
                any['\n'] = false;
                return byte_of(std::move(any));
            }
            case '^':
                return Piece{{Kind::kStart}};
            case '$':
                return Piece{{Kind::kEnd}};
            case '\\':
                return escaped();
            case '*':
            case '+':
            case '?':
                return wrong("'{}' has nothing to repeat", c);
            default:
                return byte_of(single(c));
        }
    }

    Result<Piece> group(size_t depth) {
        if (take('?') && !take(':')) return wrong("only (...) and (?:...) are known");
        TRY_ASSIGN(Piece piece, alternatives(depth + 1));
        if (!take(')')) return wrong("'(' without ')'");
        return piece;
    }

    Result<Piece> escaped() {
        if (!more()) return wrong("'\\' at the end");
        const char c = text_[at_++];
        if (auto set = named_class(c)) return byte_of(*std::move(set));
        TRY_ASSIGN(const char literal, literal_of(c));
        return byte_of(single(literal));
    }

    Result<char> literal_of(char c) const {
        if (c == 'n') return '\n';
        if (c == 't') return '\t';
        if (c == 'r') return '\r';
        if (in_class('w', static_cast<unsigned char>(c))) return wrong("'\\{}' is not known", c);
        return c;
    }

    Result<Piece> byte_of(ByteSet set) {
        sets.push_back(std::move(set));
        return Piece{{Kind::kByte, static_cast<uint32_t>(sets.size() - 1), 0, 0}};
    }

    Result<Piece> set_of_class() {
        const bool negated = take('^');
        ByteSet set(256);
        for (bool first = true; first || !more() || text_[at_] != ']'; first = false) {
            if (!more()) return wrong("'[' without ']'");
            TRY(class_member(set));
        }
        ++at_;
        if (negated) set.flip();
        return byte_of(std::move(set));
    }

    Result<void> class_member(ByteSet& set) {
        char low = text_[at_++];
        if (low == '\\') {
            if (!more()) return wrong("'\\' at the end");
            const char c = text_[at_++];
            if (const auto named = named_class(c)) {
                for (size_t byte = 0; byte < 256; ++byte) set[byte] = set[byte] || (*named)[byte];
                return {};
            }
            TRY_ASSIGN(low, literal_of(c));
        }
        char high = low;
        if (at_ + 1 < text_.size() && text_[at_] == '-' && text_[at_ + 1] != ']') {
            ++at_;
            high = text_[at_++];
            if (high == '\\' && more()) {
                TRY_ASSIGN(high, literal_of(text_[at_++]));
            }
        }
        const auto from = static_cast<unsigned char>(low);
        const auto to = static_cast<unsigned char>(high);
        if (from > to) return wrong("the range ends before it begins");
        for (unsigned byte = from; byte <= to; ++byte) set[byte] = true;
        return {};
    }

    Result<Piece> repeated(Piece one) {
        for (;;) {
            if (take('*')) {
                one = star(one);
            } else if (take('+')) {
                Piece both = one;
                append(both, star(one));
                one = std::move(both);
            } else if (take('?')) {
                one = optional(one);
            } else if (more() && text_[at_] == '{') {
                TRY_ASSIGN(one, counted(one));
            } else {
                return one;
            }
            take('?');  // lazy: a full match does not depend on it
            TRY(check_size(one.size()));
        }
    }

    static Piece star(const Piece& one) {
        Piece piece;
        piece.push_back({Kind::kSplit, 0, 1, static_cast<uint32_t>(one.size() + 2)});
        append(piece, one);
        piece.push_back({Kind::kJump, 0, 0, 0});
        return piece;
    }
    static Piece optional(const Piece& one) {
        Piece piece;
        piece.push_back({Kind::kSplit, 0, 1, static_cast<uint32_t>(one.size() + 1)});
        append(piece, one);
        return piece;
    }

    std::optional<uint32_t> number() {
        uint32_t value = 0;
        const size_t start = at_;
        while (more() && text_[at_] >= '0' && text_[at_] <= '9' && value <= kPatternRepeatMax)
            value = value * 10 + static_cast<uint32_t>(text_[at_++] - '0');
        return at_ == start ? std::nullopt : std::optional(value);
    }

    Result<Piece> counted(const Piece& one) {
        take('{');
        const auto min = number();
        const bool comma = take(',');
        const auto max = comma ? number() : min;
        if (!min || !take('}')) return wrong("a repetition must be {{n}}, {{n,}} or {{n,m}}");
        if (*min > kPatternRepeatMax || (max && (*max > kPatternRepeatMax || *max < *min)))
            return wrong("a repetition must be from 0 to {}, and not end before it begins",
                         kPatternRepeatMax);
        Piece piece;
        for (uint32_t i = 0; i < *min; ++i) {
            append(piece, one);
            TRY(check_size(piece.size()));
        }
        if (!max) append(piece, star(one));
        for (uint32_t i = *min; max && i < *max; ++i) {
            append(piece, optional(one));
            TRY(check_size(piece.size()));
        }
        return piece;
    }

    Result<void> check_size(size_t size) const {
        if (size <= kPatternProgramMax) return {};
        return wrong("the pattern is too large: {} steps are allowed", kPatternProgramMax);
    }

    std::string_view text_;
    size_t at_ = 0;
};

/// The threads of one position, each instruction at most once.
class Threads {
 public:
    Threads(const std::vector<Instruction>& program, size_t size)
        : program_(&program), size_(size), seen_(program.size()) {}

    /// Adds the thread at `start` and those it leads to without a byte; `at` is the position in the value.
    void add(uint32_t start, size_t at) {
        pending_.push_back(start);
        while (!pending_.empty()) {
            const uint32_t here = pending_.back();
            pending_.pop_back();
            if (seen_[here]) continue;
            seen_[here] = true;
            const Instruction& instruction = (*program_)[here];
            switch (instruction.kind) {
                case Kind::kSplit:
                    pending_.push_back(instruction.first);
                    pending_.push_back(instruction.second);
                    break;
                case Kind::kJump:
                    pending_.push_back(instruction.first);
                    break;
                case Kind::kStart:
                    if (at == 0) pending_.push_back(here + 1);
                    break;
                case Kind::kEnd:
                    if (at == size_) pending_.push_back(here + 1);
                    break;
                case Kind::kMatch:
                    matched_ = true;
                    break;
                case Kind::kByte:
                    waiting_.push_back(here);
            }
        }
    }
    const std::vector<uint32_t>& waiting() const { return waiting_; }
    bool matched() const { return matched_; }

 private:
    const std::vector<Instruction>* program_;
    size_t size_;  ///< of the value

    std::vector<bool> seen_;
    std::vector<uint32_t> pending_;
    std::vector<uint32_t> waiting_;
    bool matched_ = false;
};

}  // namespace

Result<Pattern> Pattern::compile(std::string_view text) {
    if (text.size() > kPatternBytesMax)
        return fail(Errc::kInvalid, "must have at most {} bytes", kPatternBytesMax);
    Compiler compiler(text);
    Pattern pattern;
    TRY_ASSIGN(pattern.program_, compiler.whole());
    pattern.sets_ = std::move(compiler.sets);
    return pattern;
}

bool Pattern::matches(std::string_view value) const {
    Threads threads(program_, value.size());
    threads.add(0, 0);
    for (size_t at = 0; at < value.size(); ++at) {
        Threads next(program_, value.size());
        for (const uint32_t here : threads.waiting()) {
            if (sets_[program_[here].set][static_cast<unsigned char>(value[at])]) next.add(here + 1, at + 1);
        }
        if (next.waiting().empty() && !next.matched()) return false;
        threads = std::move(next);
    }
    return threads.matched();
}

}  // namespace smackd::apps
