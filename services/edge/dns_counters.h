// What the DNS server counts. Written on its loop, read on another.
#pragma once

#include <atomic>
#include <cstdint>

namespace smackd::edge {

struct DnsCounters {
    using Count = std::atomic<uint64_t>;
    Count queries{0};
    Count tcp_queries{0};
    Count nxdomain{0};
    Count refused{0};
    Count forwarded{0};
    Count forward_failed{0};
    Count cache_hits{0};
    Count limited{0};
    Count malformed{0};
};

/// One writer: cheaper than fetch_add.
inline void count(DnsCounters::Count& counter) {
    counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

}  // namespace smackd::edge
