#include "core/dns/forwarding.h"

#include <algorithm>

namespace smackd::core::dns {
namespace {

constexpr size_t kEntryOverheadBytes = 200;
constexpr BytesView kOwnOpt{"\0\0\x29\x04\xd0\0\0\0\0\0\0", 11};  // root, OPT, 1232 bytes

/// A record of a message.
struct Seen {
    uint16_t type = 0;
    size_t at = 0;  ///< where its name begins
    size_t ttl_at = 0;
    size_t data_at = 0;
    size_t end = 0;
    int section = 0;  ///< 0 answer, 1 authority, 2 additional
};

/// All records, or nullopt when the message is malformed.
std::optional<std::vector<Seen>> records_in(BytesView message) {
    if (message.size() < kHeaderBytes) return std::nullopt;
    size_t at = kHeaderBytes;
    for (unsigned i = 0; i < read_u16(message, 4); ++i) {
        at = skip_name(message, at);
        if (at == 0 || at + 4 > message.size()) return std::nullopt;
        at += 4;
    }
    std::vector<Seen> all;
    for (int section = 0; section < 3; ++section) {
        for (unsigned i = 0; i < read_u16(message, 6 + 2 * static_cast<size_t>(section)); ++i) {
            Seen seen{.at = at, .section = section};
            at = skip_name(message, at);
            if (at == 0 || at + 10 > message.size()) return std::nullopt;
            seen.type = read_u16(message, at);
            seen.ttl_at = at + 4;
            seen.data_at = at + 10;
            seen.end = seen.data_at + read_u16(message, at + 8);
            if (seen.end > message.size()) return std::nullopt;
            at = seen.end;
            all.push_back(seen);
        }
    }
    return all;
}

Bytes cache_key(const Query& query) {
    Bytes key(query.name());
    key.resize(key.size() + 5);
    char* at = key.data() + key.size() - 5;
    write_u16(at, query.type);
    write_u16(at + 2, query.question_class);
    const bool unchecked = (query.flags & kFlagCheckingDisabled) != 0;
    at[4] = static_cast<char>((query.dnssec_ok ? 1 : 0) | (unchecked ? 2 : 0));
    return key;
}

}  // namespace

Bytes outgoing_query(const Query& query, uint16_t id, Random& random) {
    Bytes out(kHeaderBytes, '\0');
    write_u16(out.data(), id);
    write_u16(out.data() + 2,
              static_cast<uint16_t>(kFlagRecursionDesired | (query.flags & kFlagCheckingDisabled)));
    write_u16(out.data() + 4, 1);
    write_u16(out.data() + 10, 1);
    out += query.name();
    uint64_t coins = 0;
    int left = 0;
    for (size_t at = kHeaderBytes; at < out.size();) {
        const auto length = static_cast<uint8_t>(out[at]);
        for (size_t i = at + 1; i <= at + length; ++i, --left, coins >>= 1) {
            if (left == 0) {
                coins = random.next();
                left = 64;
            }
            if (out[i] >= 'a' && out[i] <= 'z' && (coins & 1) != 0) out[i] = static_cast<char>(out[i] ^ 0x20);
        }
        at += 1 + length;
    }
    out.append(query.question.substr(query.question.size() - 4));
    const size_t opt = out.size();
    out += kOwnOpt;
    if (query.dnssec_ok) out[opt + 7] = '\x80';
    return out;
}

bool answers(BytesView reply, BytesView sent) {
    if (reply.size() < kHeaderBytes || (read_u16(reply, 2) & kFlagResponse) == 0) return false;
    if (read_u16(reply, 0) != read_u16(sent, 0) || read_u16(reply, 4) != 1) return false;
    const size_t end = skip_name(sent, kHeaderBytes) + 4;
    return reply.size() >= end &&
           reply.substr(kHeaderBytes, end - kHeaderBytes) == sent.substr(kHeaderBytes, end - kHeaderBytes);
}

Bytes incoming_reply(const Query& query, BytesView reply, size_t bytes_max) {
    Bytes out(reply);
    auto records = records_in(out);
    const size_t question_end = kHeaderBytes + query.question.size();
    if (!records || out.size() < question_end) return {};
    // OPT is between neighbours only: ours goes, and the asker gets one when it sent one. It stands last, or
    // names behind it would move.
    const bool opt_last =
        !records->empty() && records->back().type == kTypeOpt && records->back().end == out.size();
    if (opt_last && !query.edns) {
        out.resize(records->back().at);
        write_u16(out.data() + 10, static_cast<uint16_t>(read_u16(out, 10) - 1));
    }
    write_u16(out.data(), query.id);
    uint16_t flags = read_u16(out, 2);
    flags = static_cast<uint16_t>((flags & ~(kFlagAuthoritative | kFlagRecursionDesired)) |
                                  kFlagRecursionAvailable | (query.flags & kFlagRecursionDesired));
    std::ranges::copy(query.question, out.begin() + kHeaderBytes);
    if (out.size() > bytes_max) {
        out.resize(question_end);
        flags |= kFlagTruncated;
        for (size_t count : {6U, 8U, 10U}) write_u16(out.data() + count, 0);
    }
    write_u16(out.data() + 2, flags);
    return out;
}

std::optional<uint32_t> cache_ttl(BytesView reply) {
    auto records = records_in(reply);
    if (!records) return std::nullopt;
    const uint16_t flags = read_u16(reply, 2);
    const uint16_t rcode = flags & 15;
    if ((flags & kFlagTruncated) != 0 || (rcode != kNoError && rcode != kNameError)) return std::nullopt;
    const bool negative = rcode == kNameError || read_u16(reply, 6) == 0;
    uint32_t ttl = negative ? kCacheNegativeTtlMaxS : kCacheTtlMaxS;
    bool soa = false;
    for (const Seen& seen : *records) {
        if (seen.type == kTypeOpt) continue;
        ttl = std::min(ttl, read_u32(reply, seen.ttl_at));
        if (negative && seen.section == 1 && seen.type == kTypeSoa && seen.end - seen.data_at >= 20) {
            ttl = std::min(ttl, read_u32(reply, seen.end - 4));
            soa = true;
        }
    }
    if ((negative && !soa) || ttl == 0) return std::nullopt;
    return ttl;
}

void age(Bytes& reply, uint32_t age_s) {
    auto records = records_in(reply);
    if (!records) return;
    for (const Seen& seen : *records) {
        if (seen.type == kTypeOpt) continue;
        const uint32_t ttl = read_u32(reply, seen.ttl_at);
        write_u32(reply.data() + seen.ttl_at, ttl > age_s ? ttl - age_s : 0);
    }
}

void ReplyCache::drop(Position position) {
    bytes_ -= position->key.size() + position->reply.size() + kEntryOverheadBytes;
    by_key_.erase(position->key);
    entries_.erase(position);
}

std::optional<Bytes> ReplyCache::find(const Query& query, Instant now) {
    auto found = by_key_.find(cache_key(query));
    if (found == by_key_.end()) return std::nullopt;
    const Position position = found->second;
    if (now >= position->expires) {
        drop(position);
        return std::nullopt;
    }
    entries_.splice(entries_.begin(), entries_, position);
    Bytes reply = position->reply;
    age(reply, static_cast<uint32_t>(std::chrono::duration_cast<seconds>(now - position->stored).count()));
    return reply;
}

void ReplyCache::put(const Query& query, BytesView reply, Instant now) {
    auto ttl = cache_ttl(reply);
    if (!ttl) return;
    Bytes key = cache_key(query);
    const size_t size = key.size() + reply.size() + kEntryOverheadBytes;
    if (size > bytes_max_) return;
    if (auto found = by_key_.find(key); found != by_key_.end()) drop(found->second);
    while (bytes_ + size > bytes_max_) drop(std::prev(entries_.end()));
    entries_.push_front({std::move(key), Bytes(reply), now, now + seconds(*ttl)});
    by_key_.emplace(entries_.front().key, entries_.begin());
    bytes_ += size;
}

void ReplyCache::clear() {
    by_key_.clear();
    entries_.clear();
    bytes_ = 0;
}

}  // namespace smackd::core::dns
