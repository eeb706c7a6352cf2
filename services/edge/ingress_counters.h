// What the ingress counts. Written on its loop, read on another.
#pragma once

#include <atomic>
#include <cstdint>

namespace smackd::edge {

using IngressCount = std::atomic<uint64_t>;

struct IngressCounters {
    IngressCount connections{0};  ///< now
    IngressCount connections_total{0};
    IngressCount connections_refused{0};
    IngressCount requests{0};
    IngressCount malformed{0};
    IngressCount unrouted{0};
    IngressCount tls_handshakes{0};
    IngressCount tls_failures{0};
};

/// Of one pool; read on its own loop only.
struct PoolCounters {
    uint64_t requests = 0;
    uint64_t responses[6] = {};  ///< by the first digit of their status
    uint64_t failures = 0;
    uint64_t retries = 0;
    uint64_t bytes_in = 0;
    uint64_t bytes_out = 0;
    uint32_t active = 0;
};

inline void count(IngressCount& counter, uint64_t more = 1) {
    counter.store(counter.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
}

}  // namespace smackd::edge
