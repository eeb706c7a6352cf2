// What forwarding needs to know about other people's messages: pure parts. Sockets are in services/edge.
#pragma once

#include <cstdint>
#include <list>
#include <optional>
#include <unordered_map>
#include <vector>

#include "core/clock.h"
#include "core/dns/query.h"
#include "core/random.h"

namespace smackd::core::dns {

inline constexpr uint32_t kCacheTtlMaxS = 3600;  ///< positive answers are asked anew after this
inline constexpr uint32_t kCacheNegativeTtlMaxS = 60;

/// The query as it goes out: a new id, the name in random upper and lower case (a forger must guess it, too),
/// recursion desired, and EDNS0 of our own when the asker had it.
Bytes outgoing_query(const Query& query, uint16_t id, Random& random);

/// True when `reply` is an answer to exactly `sent`: same id, same question in the same spelling.
bool answers(BytesView reply, BytesView sent);

/// The reply as the asker gets it: its own id, its own spelling of the question, no more than `bytes_max`
/// bytes (else empty with TC), OPT only when it spoke EDNS0.
Bytes incoming_reply(const Query& query, BytesView reply, size_t bytes_max);

/// How long a reply may be kept, seconds; nullopt: not at all (failures, truncated, malformed). Negative ones
/// by the SOA's minimum (RFC 2308).
std::optional<uint32_t> cache_ttl(BytesView reply);
/// Lowers all TTLs of a well-formed reply by `age_s`.
void age(Bytes& reply, uint32_t age_s);

/// Replies of forwarders by question (name without case, type, class, DO and CD). Bounded; the one not used
/// for longest goes first.
class ReplyCache {
 public:
    explicit ReplyCache(size_t bytes_max) : bytes_max_(bytes_max) {}

    /// Aged to `now`; nullopt when it is not there or has expired.
    std::optional<Bytes> find(const Query& query, Instant now);
    void put(const Query& query, BytesView reply, Instant now);
    void clear();
    size_t bytes() const { return bytes_; }

 private:
    struct Entry {
        Bytes key;
        Bytes reply;
        Instant stored;
        Instant expires;
    };
    using Position = std::list<Entry>::iterator;
    void drop(Position position);

    std::list<Entry> entries_;  // used last first
    std::unordered_map<BytesView, Position> by_key_;
    size_t bytes_max_;
    size_t bytes_ = 0;
};

}  // namespace smackd::core::dns
