#include "core/dns/answer.h"

#include <algorithm>
#include <cstring>

#include "core/assert.h"

namespace smackd::core::dns {
namespace {

constexpr uint16_t kNameOfQuestion = 0xc000 | kHeaderBytes;
constexpr size_t kOptBytes = 11;
constexpr size_t kPointerMax = 0x3fff;  // what a compression pointer reaches
constexpr int kAliasDepthMax = 8;
constexpr uint32_t kRefreshS = 60;
constexpr uint32_t kRetryS = 600;
constexpr uint32_t kExpireS = 86400;

/// Appends records to a message as long as they fit.
class Message {
 public:
    Message(std::span<char> out, const Query& query, size_t bytes_max)
        : query_(query), out_(out), limit_(std::min(out.size(), bytes_max)) {
        if (query.edns) limit_ -= kOptBytes;
        std::memset(out_.data(), 0, kHeaderBytes);
        write_u16(out_.data(), query.id);
        std::ranges::copy(query.question, out_.data() + kHeaderBytes);  // may be empty, without data
        size_ = kHeaderBytes + query.question.size();
    }

    /// False when there is no room; nothing is written then. `owner` is a compression pointer.
    bool add(uint16_t owner, uint16_t type, uint32_t ttl_s, BytesView data) {
        if (size_ + 12 + data.size() > limit_) return false;
        write_fixed(owner, type, ttl_s, data.size());
        std::memcpy(out_.data() + size_, data.data(), data.size());
        size_ += data.size();
        return true;
    }
    /// Where the data of the record added last begins.
    size_t data_at(size_t data_size) const { return size_ - data_size; }
    size_t size() const { return size_; }

    size_t finish(uint16_t flags, uint16_t rcode, const uint16_t (&counts)[3]) {
        const uint16_t kept = query_.flags & (kFlagRecursionDesired | kFlagCheckingDisabled | 0x7800);
        write_u16(out_.data() + 2, static_cast<uint16_t>(kFlagResponse | kept | flags | (rcode & 15)));
        write_u16(out_.data() + 4, query_.question.empty() ? 0 : 1);
        write_u16(out_.data() + 6, counts[0]);
        write_u16(out_.data() + 8, counts[1]);
        write_u16(out_.data() + 10, static_cast<uint16_t>(counts[2] + (query_.edns ? 1 : 0)));
        if (query_.edns) {
            char* at = out_.data() + size_;
            std::memset(at, 0, kOptBytes);
            write_u16(at + 1, kTypeOpt);
            write_u16(at + 3, kUdpBytesMax);
            at[5] = static_cast<char>(rcode >> 4);
            size_ += kOptBytes;
        }
        return size_;
    }

 private:
    void write_fixed(uint16_t owner, uint16_t type, uint32_t ttl_s, size_t data_size) {
        char* at = out_.data() + size_;
        write_u16(at, owner);
        write_u16(at + 2, type);
        write_u16(at + 4, kClassIn);
        write_u32(at + 6, ttl_s);
        write_u16(at + 10, static_cast<uint16_t>(data_size));
        size_ += 12;
    }

    const Query& query_;
    std::span<char> out_;
    size_t limit_;
    size_t size_ = 0;
};

/// One look-up on its way to an answer.
class Answering {
 public:
    Answering(const Zone& zone, const Query& query, const AnswerRules& rules, std::span<char> out)
        : zone_(zone), query_(query), rules_(rules), message_(out, query, rules.bytes_max) {}

    Answer run();

 private:
    bool allowed(const Record& record) const {
        return rules_.asker == kEverybody || record.tenant == kEverybody || record.tenant == rules_.asker;
    }
    bool visible(const Record& record) const { return record.type != kTypeApex && allowed(record); }
    bool wanted(const Record& record, uint16_t type) const {
        return visible(record) && (type == kTypeAny || record.type == type);
    }
    const Node* find(BytesView name, Bytes& instead) const;
    const Node* find_question();
    bool exists(const Node* node) const;
    size_t apex_label() const;
    bool add_set(uint16_t owner, const Node& node, uint16_t type, size_t section);
    bool add_authority_records(uint16_t type);
    void add_alias(const Node& node);
    void add_targets();
    void add_soa(size_t apex);
    Bytes soa() const;
    Answer end(Rcode rcode);

    const Zone& zone_;
    const Query& query_;
    const AnswerRules& rules_;
    Message message_;
    uint16_t counts_[3] = {0, 0, 0};
    bool truncated_ = false;
    struct Target {
        BytesView name;
        size_t at;
    };
    static constexpr size_t kTargetsMax = 64;
    Target targets_[kTargetsMax];
    size_t target_count_ = 0;
    Bytes instead_;
};

bool has_label_at(BytesView name, size_t offset) {
    size_t at = 0;
    while (at < offset) at += 1 + static_cast<uint8_t>(name[at]);
    return at == offset;
}

const Node* Answering::find(BytesView name, Bytes& instead) const {
    const Node* node = zone_.find(name);
    if (node != nullptr && !node->records.empty()) return node;
    for (const SuffixAlias& alias : zone_.aliases) {
        if (name.size() <= alias.suffix.size() || !name.ends_with(alias.suffix)) continue;
        const size_t kept = name.size() - alias.suffix.size();
        if (!has_label_at(name, kept) || kept + alias.instead.size() > kNameBytesMax) continue;
        instead.assign(name.substr(0, kept)).append(alias.instead);
        const Node* other = zone_.find(instead);
        return other != nullptr ? other : node;
    }
    return node;
}

// Names that hold nothing themselves exist for those who see everything; a tenant's task learns of no other
// tenant by them.
bool Answering::exists(const Node* node) const {
    if (node == nullptr) return false;
    if (node->is_apex() && allowed(node->records.front())) return true;
    if (std::ranges::any_of(node->records, [&](const Record& record) { return visible(record); }))
        return true;
    return rules_.asker == kEverybody && node->children > 0;
}

/// The index of the label where our zone begins; labels() + 1 when the name is not ours.
size_t Answering::apex_label() const {
    for (uint8_t i = 0; i <= query_.labels(); ++i) {
        const Node* node = zone_.find(query_.suffix(i));
        if (node != nullptr && node->is_apex()) return i;
    }
    return size_t{query_.labels()} + 1;
}

bool Answering::add_set(uint16_t owner, const Node& node, uint16_t type, size_t section) {
    const std::vector<Record>& all = node.records;
    auto first = all.begin();
    auto last = all.end();
    if (type != kTypeAny) {
        first = std::ranges::lower_bound(all, type, {}, &Record::type);
        last = std::find_if(first, all.end(), [&](const Record& record) { return record.type != type; });
    }
    const auto count = static_cast<size_t>(last - first);
    const size_t start = count == 0 ? 0 : rules_.rotation % count;
    for (size_t i = 0; i < count; ++i) {
        auto it = first + static_cast<ptrdiff_t>((start + i) % count);
        if (!wanted(*it, type)) continue;
        // Several tasks on one host say the same of it.
        bool again = false;
        for (auto before = it; before != first && !again;) {
            --before;
            if (before->type != it->type || before->data != it->data) break;
            again = visible(*before);
        }
        if (again) continue;
        if (!message_.add(owner, it->type, it->ttl_s, it->data)) return false;
        ++counts_[section];
        if (section == 0 && it->type == kTypeSrv && target_count_ < kTargetsMax)
            targets_[target_count_++] = {BytesView(it->data).substr(6),
                                         message_.data_at(it->data.size()) + 6};
    }
    return true;
}

void Answering::add_targets() {
    for (size_t i = 0; i < target_count_; ++i) {
        const Target& target = targets_[i];
        if (target.at > kPointerMax) return;
        const Node* node = zone_.find(target.name);
        if (node == nullptr) continue;
        const auto owner = static_cast<uint16_t>(0xc000 | target.at);
        // What does not fit is left out without TC: the answer itself is complete (RFC 2181 section 9).
        if (!add_set(owner, *node, kTypeA, 2) || !add_set(owner, *node, kTypeAaaa, 2)) return;
    }
}

Bytes Answering::soa() const {
    const Authority& authority = zone_.authority;
    Bytes data = authority.name_server + authority.mailbox;
    const size_t at = data.size();
    data.resize(at + 20);
    write_u32(data.data() + at, authority.serial);
    write_u32(data.data() + at + 4, kRefreshS);
    write_u32(data.data() + at + 8, kRetryS);
    write_u32(data.data() + at + 12, kExpireS);
    write_u32(data.data() + at + 16, authority.ttl_s);
    return data;
}

void Answering::add_soa(size_t apex) {
    const size_t offset = query_.name().size() - query_.suffix(static_cast<uint8_t>(apex)).size();
    const auto owner = static_cast<uint16_t>(0xc000 | (kHeaderBytes + offset));
    if (message_.add(owner, kTypeSoa, zone_.authority.ttl_s, soa())) ++counts_[1];
}

bool Answering::add_authority_records(uint16_t type) {
    const uint32_t ttl_s = zone_.authority.ttl_s;
    if (type == kTypeSoa || type == kTypeAny) {
        if (!message_.add(kNameOfQuestion, kTypeSoa, ttl_s, soa())) return false;
        ++counts_[0];
    }
    if (type == kTypeNs || type == kTypeAny) {
        if (!message_.add(kNameOfQuestion, kTypeNs, ttl_s, zone_.authority.name_server)) return false;
        ++counts_[0];
    }
    return true;
}

// The records of what an alias stands for, as far as that is ours: stub resolvers do not ask again.
void Answering::add_alias(const Node& start) {
    uint16_t owner = kNameOfQuestion;
    const Node* node = &start;
    for (int depth = 0; depth < kAliasDepthMax && node != nullptr; ++depth) {
        auto alias =
            std::ranges::find_if(node->records, [&](const Record& r) { return wanted(r, kTypeCname); });
        if (alias == node->records.end()) {
            if (!add_set(owner, *node, query_.type, 0)) truncated_ = true;
            return;
        }
        if (!message_.add(owner, kTypeCname, alias->ttl_s, alias->data)) {
            truncated_ = true;
            return;
        }
        ++counts_[0];
        owner = static_cast<uint16_t>(0xc000 | message_.data_at(alias->data.size()));
        node = find(alias->data, instead_);
    }
}

Answer Answering::end(Rcode rcode) {
    uint16_t flags = kFlagAuthoritative;
    if (zone_.recursion) flags |= kFlagRecursionAvailable;
    if (truncated_) flags |= kFlagTruncated;
    return {Whose::kOurs, message_.finish(flags, rcode, counts_), rcode};
}

Answer Answering::run() {
    const Node* node = find(query_.name(), instead_);
    const size_t apex = apex_label();
    if (apex > query_.labels()) return {Whose::kForeign, 0, kNoError};
    if (query_.type == kTypeAxfr || query_.type == kTypeIxfr) return end(kRefused);  // no zone walks
    if (!exists(node)) {
        add_soa(apex);
        return end(kNameError);
    }
    if (apex == 0 && !add_authority_records(query_.type)) truncated_ = true;
    const bool alias =
        query_.type != kTypeCname && query_.type != kTypeAny &&
        std::ranges::any_of(node->records, [&](const Record& r) { return wanted(r, kTypeCname); });
    if (alias) {
        add_alias(*node);
    } else if (!add_set(kNameOfQuestion, *node, query_.type, 0)) {
        truncated_ = true;
    }
    if (!truncated_ && counts_[0] == 0) add_soa(apex);
    if (!truncated_) add_targets();
    return end(kNoError);
}

}  // namespace

Answer answer(const Zone& zone, const Query& query, const AnswerRules& rules, std::span<char> out) {
    SMACK_ASSERT(out.size() >= kUdpBytesPlain && rules.bytes_max >= kUdpBytesPlain);
    Rcode verdict = query.verdict;
    if (verdict == kNoError && query.question_class != kClassIn && query.question_class != kClassAny)
        verdict = kRefused;
    if (verdict != kNoError) return {Whose::kOurs, refuse(query, verdict, zone.recursion, out), verdict};
    return Answering(zone, query, rules, out).run();
}

size_t refuse(const Query& query, Rcode rcode, bool recursion, std::span<char> out) {
    Message message(out, query, kUdpBytesPlain);
    return message.finish(recursion ? kFlagRecursionAvailable : uint16_t{0}, rcode, {0, 0, 0});
}

size_t truncate(const Query& query, bool recursion, std::span<char> out) {
    Message message(out, query, kUdpBytesPlain);
    const uint16_t flags = recursion ? kFlagTruncated | kFlagRecursionAvailable : kFlagTruncated;
    return message.finish(flags, kNoError, {0, 0, 0});
}

}  // namespace smackd::core::dns
