#include "core/marathon/selector.h"

#include <algorithm>
#include <format>

namespace smackd::marathon {

/// Takes the text apart from the front; every function says whether it found what it is named after.
class SelectorParser {
 public:
    explicit SelectorParser(std::string_view text) : rest_(text) {}

    bool all(std::vector<Selector::Part>& parts) {
        do {
            Selector::Part part;
            if (!term(part.key) || !condition(part)) return false;
            parts.push_back(std::move(part));
            skip_spaces();
        } while (take(","));
        return rest_.empty();
    }

 private:
    void skip_spaces() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t"), rest_.size())); }

    bool take(std::string_view text) {
        if (!rest_.starts_with(text)) return false;
        rest_.remove_prefix(text.size());
        return true;
    }

    static bool is_plain(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
               c == '_' || c == '.';
    }

    bool term(std::string& into) {
        skip_spaces();
        while (!rest_.empty()) {
            const bool escaped = rest_[0] == '\\' && rest_.size() > 1;
            if (!escaped && !is_plain(rest_[0])) break;
            if (escaped) rest_.remove_prefix(1);
            into += rest_[0];
            rest_.remove_prefix(1);
        }
        return !into.empty() && ++terms_ <= kSelectorTermsMax;
    }

    bool condition(Selector::Part& part) {
        skip_spaces();
        if (rest_.empty() || rest_[0] == ',') return true;
        const bool equal = take("==");
        if (!equal && !take("!=")) return list(part);
        part.op = equal ? Selector::Operator::kIn : Selector::Operator::kNotIn;
        return term(part.values.emplace_back());
    }

    bool list(Selector::Part& part) {
        part.op = take("notin") ? Selector::Operator::kNotIn : Selector::Operator::kIn;
        if (part.op == Selector::Operator::kIn && !take("in")) return false;
        skip_spaces();
        if (!take("(")) return false;
        do {
            if (!term(part.values.emplace_back())) return false;
            skip_spaces();
        } while (take(","));
        return take(")");
    }

    std::string_view rest_;
    size_t terms_ = 0;
};

Checked<Selector> Selector::parse(std::string_view text) {
    Selector selector;
    if (text.size() <= kSelectorBytesMax && SelectorParser(text).all(selector.parts_)) return selector;
    return std::unexpected(Problem::of(
        422, std::format("Can not parse label selector {}: parts are key, key==value, key!=value, "
                         "key in (a,b) or key notin (a,b), with commas between",
                         text.substr(0, 256))));
}

bool Selector::matches(const wire::AppDefinition& app) const {
    return std::ranges::all_of(parts_, [&](const Part& part) {
        const auto label =
            std::ranges::find(app.labels(), part.key, [](const wire::Label& one) { return one.key(); });
        if (label == app.labels().end()) return false;
        if (part.op == Operator::kExists) return true;
        return std::ranges::contains(part.values, label->value()) == (part.op == Operator::kIn);
    });
}

}  // namespace smackd::marathon
