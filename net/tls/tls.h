// TLS handshakes over any Stream. Their arithmetic runs on a WorkerPool so that no loop stalls.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "core/units.h"
#include "net/loop.h"
#include "net/stream.h"
#include "net/task.h"
#include "net/tls/config.h"
#include "net/tls/session.h"
#include "net/worker_pool.h"

namespace smackd::net {

inline constexpr core::Duration kTlsHandshakeLimit = std::chrono::seconds(10);
inline constexpr size_t kTlsHandshakesMax = 128;  ///< at once; more are refused with kBusy

/// What handshakes need; outlives them. One per loop.
class TlsEngine {
 public:
    TlsEngine(Loop& loop, WorkerPool& workers, size_t handshakes_max = kTlsHandshakesMax,
              core::Duration handshake_limit = kTlsHandshakeLimit)
        : loop_(loop),
          workers_(workers),
          handshakes_max_(handshakes_max),
          handshake_limit_(handshake_limit) {}

    /// The server's side. Errors: kBusy, kTimeout, kDenied (certificate refused, with the reason), kInvalid
    /// (not TLS, no common version, suite or ALPN), kUnavailable (the peer went away). `raw` is closed on
    /// error.
    Task<core::Result<std::unique_ptr<Stream>>> accept(std::unique_ptr<Stream> raw,
                                                       std::shared_ptr<const TlsConfig> config);
    /// The client's side. `server_name` is sent as SNI and must be in the server's certificate; empty:
    /// neither (the caller checks peer_certificate() itself, as peers do with the URI name).
    Task<core::Result<std::unique_ptr<Stream>>> connect(std::unique_ptr<Stream> raw,
                                                        std::shared_ptr<const TlsConfig> config,
                                                        std::string server_name);

    Loop& loop() { return loop_; }
    WorkerPool& workers() { return workers_; }

 private:
    Task<core::Result<std::unique_ptr<Stream>>> handshake(std::unique_ptr<Stream> raw,
                                                          std::shared_ptr<const TlsConfig> config,
                                                          std::string server_name);
    Loop& loop_;
    WorkerPool& workers_;
    size_t handshakes_max_;
    core::Duration handshake_limit_;
    size_t handshakes_ = 0;
};

/// True when the first byte a client sent begins a TLS record (handshake, RFC 8446 section 5.1).
inline bool looks_like_tls(char first) {
    return first == 0x16;
}

}  // namespace smackd::net
