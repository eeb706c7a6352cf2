#include "net/tls/door.h"

namespace smackd::net {

using core::Errc;
using core::Result;

namespace {

constexpr core::Duration kAcceptPause = std::chrono::milliseconds(100);  // when descriptors run out

/// The peer without its port.
std::string host_of(const std::string& peer) {
    return peer.substr(0, peer.rfind(':'));
}

}  // namespace

TlsDoor::TlsDoor(TlsEngine& engine, std::unique_ptr<Listener> listener, TlsDoorOptions options,
                 ConfigSource config, std::map<std::string, TlsProtocol> protocols, core::Logger logger)
    : engine_(engine),
      listener_(std::move(listener)),
      options_(std::move(options)),
      config_(std::move(config)),
      protocols_(std::move(protocols)),
      logger_(std::move(logger)),
      acceptor_(engine.loop()),
      connections_(engine.loop()) {}

TlsDoor::~TlsDoor() = default;

void TlsDoor::start() {
    acceptor_.spawn(accept_all());
}
std::string TlsDoor::address() const {
    return listener_->address();
}
size_t TlsDoor::connections() const {
    return connections_.running();
}

Task<void> TlsDoor::accept_all() {
    for (;;) {
        auto stream = co_await listener_->accept();
        if (!stream && stream.error().code == Errc::kCancelled) co_return;
        if (!stream) {
            logger_.warning("accept failed", {{"door", options_.name}, {"error", stream.error().message}});
            auto slept = co_await sleep(engine_.loop(), kAcceptPause);
            if (!slept) co_return;
            continue;
        }
        std::string host = host_of((*stream)->peer());
        bool full = connections_.running() >= options_.connections ||
                    per_host_[host] >= options_.connections_per_host;
        if (full) {
            logger_.warning("too many connections", {{"door", options_.name}, {"peer", (*stream)->peer()}});
            if (per_host_[host] == 0) per_host_.erase(host);
            continue;  // its destructor closes it
        }
        connections_.spawn(serve(std::move(*stream), std::move(host)));
    }
}

Task<void> TlsDoor::serve(std::unique_ptr<Stream> raw, std::string host) {
    ++per_host_[host];
    std::string peer = raw->peer();
    auto served = co_await dispatch(std::move(raw), host);
    if (!served) {
        bool denied = served.error().code == Errc::kDenied;
        core::LogField why("why", served.error().message);
        if (denied && options_.refused) options_.refused(peer, served.error());
        if (denied) logger_.warning("connection refused", {{"door", options_.name}, {"peer", peer}, why});
        if (!denied) logger_.debug("connection refused", {{"door", options_.name}, {"peer", peer}, why});
    }
    leave(host);
}

void TlsDoor::leave(std::string& host) {
    if (host.empty()) return;
    if (--per_host_[host] == 0) per_host_.erase(host);
    host.clear();
}

Task<Result<void>> TlsDoor::dispatch(std::unique_ptr<Stream> raw, std::string& host) {
    std::shared_ptr<const TlsConfig> config = config_();
    if (config == nullptr) co_return core::fail(Errc::kUnavailable, "no certificate yet");
    CO_TRY_ASSIGN(auto stream, co_await engine_.accept(std::move(raw), std::move(config)));
    auto protocol = protocols_.find(stream->tls()->alpn());
    if (protocol == protocols_.end()) {
        co_await stream->close();
        co_return core::fail(Errc::kInvalid, "the client names no protocol (ALPN) that is served here");
    }
    if (protocol->second.client_certificate && !stream->tls()->peer_certificate()) {
        co_await stream->close();
        co_return core::fail(Errc::kDenied, "{} needs a client certificate", protocol->first);
    }
    // Who has a certificate of ours is known; hundreds of agents may be behind one address (NAT).
    if (protocol->second.client_certificate) leave(host);
    co_await protocol->second.serve(std::move(stream));
    co_return Result<void>();
}

Task<void> TlsDoor::close() {
    co_await listener_->close();
    co_await acceptor_.close();
    co_await connections_.close();
}

}  // namespace smackd::net
