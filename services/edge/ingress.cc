#include "services/edge/ingress.h"

#include <algorithm>

#include "services/edge/http_session.h"
#include "services/edge/tcp_session.h"

namespace smackd::edge {

using core::Result;

namespace {

constexpr core::Duration kSweepEvery = std::chrono::milliseconds(250);

}  // namespace

Ingress::Ingress(net::Loop& loop, net::WorkerPool& workers, IngressCounters& counters, core::Logger logger,
                 IngressLimits limits)
    : loop_(loop),
      tls_(loop, workers),
      counters_(counters),
      logger_(std::move(logger)),
      limits_(limits),
      backends_(loop, buffer_),
      scope_(loop) {
    timer_ = loop_.start(kSweepEvery, [this] { sweep(); }, "ingress sweep");
}

Ingress::~Ingress() {
    *self_ = nullptr;
    loop_.cancel(timer_);
}

net::Task<void> Ingress::close() {
    listeners_.clear();
    sessions_.clear();
    retired_.clear();
    co_await scope_.close();
    sessions_.clear();
}

void Ingress::set_routes(std::shared_ptr<const core::ingress::Routes> routes) {
    routes_ = std::move(routes);
    backends_.set_routes(*routes_);
    for (auto& [name, listener] : listeners_) {
        auto plan = routes_->listeners.find(name);
        listener.state->plan =
            plan == routes_->listeners.end() ? core::ingress::ListenerPlan{} : plan->second;
    }
}

core::ingress::PoolPtr Ingress::newest(const core::ingress::PoolPtr& pool) const {
    const auto found = std::ranges::find(
        routes_->pools, pool->key, [](const core::ingress::PoolPtr& one) -> const auto& { return one->key; });
    return found == routes_->pools.end() ? pool : *found;
}

Result<void> Ingress::add_listener(const std::string& name, int descriptor) {
    auto state =
        std::make_shared<ListenerState>();  // shared by the connections it accepts, which may outlive it
    state->name = name;
    auto plan = routes_->listeners.find(name);
    if (plan != routes_->listeners.end()) state->plan = plan->second;
    auto on_accepted = [this, state](std::unique_ptr<net::Accepted> accepted) {
        accept(state, std::move(accepted));
    };
    TRY_ASSIGN(auto acceptor, net::Acceptor::adopt(loop_, descriptor, on_accepted));
    listeners_.insert_or_assign(name, Listener{std::move(state), std::move(acceptor)});
    return {};
}

void Ingress::remove_listener(const std::string& name) {
    auto found = listeners_.find(name);
    if (found == listeners_.end()) return;
    found->second.state->plan = {};
    listeners_.erase(found);
}

bool Ingress::admit(const std::string& host) {
    const bool full = connections() >= limits_.connections;
    uint32_t& of_source = per_source_[host];
    if (full || (per_source_most_ != 0 && of_source >= per_source_most_)) {
        if (of_source == 0) per_source_.erase(host);
        count(counters_.connections_refused);
        return false;
    }
    ++of_source;
    count(counters_.connections_total);
    return true;
}

void Ingress::leave(const std::string& host) {
    auto found = per_source_.find(host);
    if (--found->second == 0) per_source_.erase(found);
}

void Ingress::accept(const std::shared_ptr<ListenerState>& listener,
                     std::unique_ptr<net::Accepted> accepted) {
    if (!admit(accepted->peer().host())) return;
    if (!listener->plan.tls) {
        const net::Address peer = accepted->peer();
        return add_session(listener, accepted->to_duplex(buffer_), peer, false);
    }
    const net::Address peer = accepted->peer();
    ++handshakes_;
    scope_.spawn(accept_tls(listener, accepted->to_stream(), peer));
}

net::Task<void> Ingress::accept_tls(std::shared_ptr<ListenerState> listener, std::unique_ptr<net::Stream> raw,
                                    net::Address peer) {
    count(counters_.tls_handshakes);
    Result<std::unique_ptr<net::Stream>> stream =
        core::fail(core::Errc::kUnavailable, "there is no certificate");
    if (certificates_ != nullptr) {
        stream = co_await tls_.accept(std::move(raw), certificates_);
    } else {
        co_await raw->close();
    }
    --handshakes_;
    if (!stream) {
        count(counters_.tls_failures);
        leave(peer.host());
        logger_.debug("no TLS", {{"peer", peer.to_string()}, {"why", stream.error().message}});
        co_return;
    }
    add_session(std::move(listener), net::duplex_over(std::move(*stream), scope_), peer, true);
}

void Ingress::add_session(std::shared_ptr<ListenerState> listener, std::unique_ptr<net::Duplex> client,
                          const net::Address& peer, bool tls) {
    const uint64_t id = ++last_session_;
    const core::ingress::PoolPtr pool = listener->plan.pool;
    Session& entry = sessions_[id];
    entry.host = peer.host();
    count(counters_.connections);
    if (pool != nullptr && !pool->http) {
        auto session = std::make_unique<TcpSession>(*this, id, pool, std::move(client), entry.host);
        TcpSession& started = *session;
        entry.session = std::move(session);
        return started.start();
    }
    auto session =
        std::make_unique<HttpSession>(*this, id, std::move(listener), std::move(client), entry.host, tls);
    HttpSession& started = *session;
    entry.session = std::move(session);
    started.start();
}

void Ingress::retire(uint64_t id) {
    auto node = sessions_.extract(id);
    if (node.empty()) return;
    leave(node.mapped().host);
    counters_.connections.store(sessions_.size(), std::memory_order_relaxed);
    // The session is in one of its own functions.
    if (retired_.empty()) {
        loop_.post(
            [self = self_] {
                if (*self != nullptr) (*self)->retired_.clear();
            },
            "ingress retired");
    }
    retired_.push_back(std::move(node.mapped()));
}

void Ingress::drain() {
    draining_ = true;
    listeners_.clear();
    std::vector<IngressSession*> all;
    for (auto& [id, entry] : sessions_) all.push_back(entry.session.get());
    for (IngressSession* session : all) session->drain();
}

void Ingress::sweep() {
    timer_ = loop_.start(kSweepEvery, [this] { sweep(); }, "ingress sweep");
    const core::Instant now = loop_.now();
    std::vector<IngressSession*> all;
    all.reserve(sessions_.size());
    for (auto& [id, entry] : sessions_) all.push_back(entry.session.get());
    for (IngressSession* session : all) session->check_time(now);
    backends_.sweep();
    counters_.connections.store(sessions_.size(), std::memory_order_relaxed);
}

}  // namespace smackd::edge
