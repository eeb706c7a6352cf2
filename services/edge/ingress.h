// The ingress: listeners of one data loop, their connections, and the table they work by.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/ingress/forward.h"
#include "core/ingress/routes.h"
#include "core/logger.h"
#include "net/duplex.h"
#include "net/tls/tls.h"
#include "net/worker_pool.h"
#include "services/edge/backends.h"
#include "services/edge/ingress_counters.h"

namespace smackd::edge {

struct IngressLimits {
    size_t connections = 20000;
    size_t queued_bytes = 256 * 1024;                ///< unsent towards one side; the other is then not read
    size_t replay_bytes = 64 * 1024;                 ///< of a request, kept to send it to another backend
    size_t pipelined_bytes = 64 * 1024;              ///< of requests behind the one in hand
    int attempts = 3;                                ///< to find a backend that takes the request
    core::Duration head = std::chrono::seconds(15);  ///< for a whole request head
    core::Duration keep_alive = std::chrono::seconds(60);  ///< between requests
    core::Duration connect = std::chrono::seconds(3);
    core::Duration connect_one = std::chrono::milliseconds(500);  ///< to one backend of several
    core::Duration silence = std::chrono::seconds(30);            ///< of both sides within a request
    core::Duration tunnel = std::chrono::seconds(3600);  ///< of both sides of a TCP connection or WebSocket
    core::Duration linger = std::chrono::seconds(2);     ///< for a client to read the last answer
};

/// A listener's part of the table; sessions follow it over changes.
struct ListenerState {
    std::string name;  ///< "10.0.0.1:80"
    core::ingress::ListenerPlan plan;
};

/// One client connection.
class IngressSession {
 public:
    virtual ~IngressSession() = default;
    /// Ends it when its time is over.
    virtual void check_time(core::Instant now) = 0;
    /// The edge is going: ends when idle, else after the request in hand.
    virtual void drain() = 0;
};

/// Loop thread only.
class Ingress {
 public:
    Ingress(net::Loop& loop, net::WorkerPool& workers, IngressCounters& counters, core::Logger logger,
            IngressLimits limits = {});
    ~Ingress();
    Ingress(const Ingress&) = delete;
    Ingress& operator=(const Ingress&) = delete;

    void set_routes(std::shared_ptr<const core::ingress::Routes> routes);
    void set_api(core::ingress::ApiCredentials api) { api_ = std::move(api); }
    void set_connections_per_source(uint32_t most) { per_source_most_ = most; }
    /// nullptr: no certificate, handshakes fail.
    void set_certificates(std::shared_ptr<const net::TlsConfig> config) { certificates_ = std::move(config); }
    /// Takes over a listening descriptor; `name` is its key in the routes.
    core::Result<void> add_listener(const std::string& name, int descriptor);
    void remove_listener(const std::string& name);
    /// As Backends::await_release.
    void await_release(std::vector<std::string> addresses, core::Callback<void()> done) {
        backends_.await_release(std::move(addresses), std::move(done));
    }
    void drain();
    /// Ends everything; returns when the last connection is closed.
    net::Task<void> close();
    size_t connections() const { return sessions_.size() + handshakes_; }
    const std::map<std::string, std::unique_ptr<PoolState>>& pools() const { return backends_.pools(); }
    const core::ingress::Routes& routes() const { return *routes_; }

    // ---- for sessions
    net::Loop& loop() { return loop_; }
    Backends& backends() { return backends_; }
    IngressCounters& counters() { return counters_; }
    const IngressLimits& limits() const { return limits_; }
    /// For a connection to one more backend of `pool`, the `tried`th: while there are others nobody waits
    /// long for one.
    core::Duration connect_limit(const core::ingress::Pool& pool, size_t tried) const {
        const bool more =
            tried < std::min<size_t>(pool.backends.size(), static_cast<size_t>(limits_.attempts));
        return more ? limits_.connect_one : limits_.connect;
    }
    const core::ingress::ApiCredentials& api() const { return api_; }
    bool draining() const { return draining_; }
    /// The pool as the table in force has it; `pool` itself when it is gone.
    core::ingress::PoolPtr newest(const core::ingress::PoolPtr& pool) const;
    core::Bytes& scratch() { return scratch_; }
    /// Destroys the session in a later turn.
    void retire(uint64_t session);

 private:
    void accept(const std::shared_ptr<ListenerState>& listener, std::unique_ptr<net::Accepted> accepted);
    net::Task<void> accept_tls(std::shared_ptr<ListenerState> listener, std::unique_ptr<net::Stream> raw,
                               net::Address peer);
    void add_session(std::shared_ptr<ListenerState> listener, std::unique_ptr<net::Duplex> client,
                     const net::Address& peer, bool tls);
    bool admit(const std::string& host);
    void leave(const std::string& host);
    void sweep();

    struct Listener {
        std::shared_ptr<ListenerState> state;
        std::unique_ptr<net::Acceptor> acceptor;
    };
    struct Session {
        std::unique_ptr<IngressSession> session;
        std::string host;
    };

    net::Loop& loop_;
    net::TlsEngine tls_;
    IngressCounters& counters_;
    core::Logger logger_;
    IngressLimits limits_;
    net::SharedBuffer buffer_;
    core::Bytes scratch_;
    Backends backends_;
    core::ingress::ApiCredentials api_;
    std::shared_ptr<const core::ingress::Routes> routes_ = std::make_shared<core::ingress::Routes>();
    std::shared_ptr<const net::TlsConfig> certificates_;
    std::map<std::string, Listener> listeners_;
    std::unordered_map<uint64_t, Session> sessions_;
    std::vector<Session> retired_;
    std::unordered_map<std::string, uint32_t> per_source_;
    uint32_t per_source_most_ = 0;
    uint64_t last_session_ = 0;
    size_t handshakes_ = 0;
    bool draining_ = false;
    core::TimerId timer_ = 0;
    std::shared_ptr<Ingress*> self_ = std::make_shared<Ingress*>(this);  // null when gone: for what is posted
    net::Scope scope_;
};

}  // namespace smackd::edge
