#include "net/rpc/peer_transport.h"

#include <charconv>
#include <deque>
#include <format>

#include "net/scope.h"
#include "net/sync.h"

namespace smackd::net::rpc {

using core::Errc;
using core::NodeId;
using core::Result;

namespace {

constexpr std::string_view kTopic = "raft";
constexpr std::string_view kAddressTopic = "address";
constexpr size_t kAddressBytesMax = 262;  // a host name and a port

}  // namespace

std::string node_uri(std::string_view cluster_id, NodeId node) {
    return std::format("smack://{}/node/{}", cluster_id, node.value);
}

Result<NodeId> node_of_certificate(const crypto::Certificate& certificate, std::string_view cluster_id) {
    std::string prefix = std::format("smack://{}/node/", cluster_id);
    std::optional<NodeId> found;
    for (const std::string& uri : certificate.names.uris) {
        if (!uri.starts_with(prefix)) continue;
        const char* begin = uri.data() + prefix.size();
        const char* end = uri.data() + uri.size();
        uint64_t id = 0;
        auto [stop, error] = std::from_chars(begin, end, id);
        bool canonical =
            error == std::errc() && stop == end && id != 0 && node_uri(cluster_id, NodeId{id}) == uri;
        if (!canonical || found)
            return core::fail(Errc::kDenied, "the certificate's name '{}' is not one node", uri);
        found = NodeId{id};
    }
    if (!found) return core::fail(Errc::kDenied, "the certificate names no node of cluster {}", cluster_id);
    return *found;
}

struct PeerTransport::State {
    State(Loop& on, TlsEngine& tls, PeerTransportOptions with, ConfigSource source, core::Logger log)
        : loop(on),
          engine(tls),
          options(std::move(with)),
          config(std::move(source)),
          logger(std::move(log)),
          scope(on) {}

    struct Peer {
        Peer(Loop& loop, NodeId of) : id(of), wake(loop), scope(loop) {}
        NodeId id;
        std::string address;
        std::deque<core::Bytes> queue;
        size_t queued_bytes = 0;
        bool connected = false;
        Event wake;
        Scope scope;
    };

    Peer& peer_of(NodeId id);
    void enqueue(Peer& peer, core::Bytes message);
    Task<void> run(Peer& peer);
    Task<Result<std::unique_ptr<RpcClient>>> connect(Peer& peer);
    Task<Result<std::unique_ptr<RpcClient>>> connect_unlimited(Peer& peer);
    Task<Result<void>> pump(Peer& peer, RpcClient& client);
    Result<void> check(const TlsSession* tls, NodeId claimed) const;

    Loop& loop;
    TlsEngine& engine;
    PeerTransportOptions options;
    ConfigSource config;
    core::Logger logger;
    core::Callback<void(NodeId, core::Bytes)> receiver;
    core::Callback<void(NodeId)> lost;
    RpcServer* server = nullptr;  // attached; outlives this
    core::Callback<void(NodeId, const core::Error&)> not_let_in;
    core::Callback<void(NodeId, const std::string&)> addressed;
    std::map<NodeId, std::unique_ptr<Peer>> peers;
    Scope scope;
    bool closed = false;
};

PeerTransport::PeerTransport(Loop& loop, TlsEngine& engine, PeerTransportOptions options, ConfigSource config,
                             core::Logger logger)
    : state_(
          std::make_unique<State>(loop, engine, std::move(options), std::move(config), std::move(logger))) {}

PeerTransport::~PeerTransport() {
    SMACK_ASSERT(state_->closed || state_->peers.empty());
}

PeerTransport::State::Peer& PeerTransport::State::peer_of(NodeId id) {
    std::unique_ptr<Peer>& place = peers[id];
    if (place == nullptr) {
        place = std::make_unique<Peer>(loop, id);
        place->scope.spawn(run(*place));
    }
    return *place;
}

void PeerTransport::set_address(NodeId peer, const std::string& address) {
    SMACK_ASSERT(state_->loop.on_thread());
    if (state_->closed) return;
    State::Peer& entry = state_->peer_of(peer);
    entry.address = address;
    entry.wake.set();
}

void PeerTransport::send(NodeId peer, core::Bytes message) {
    SMACK_ASSERT(state_->loop.on_thread());
    SMACK_ASSERT(message.size() <= core::kTransportMessageBytesMax);
    auto found = state_->peers.find(peer);
    if (state_->closed || found == state_->peers.end()) return;  // no address is known
    state_->enqueue(*found->second, std::move(message));
}

void PeerTransport::State::enqueue(Peer& peer, core::Bytes message) {
    peer.queued_bytes += message.size();
    peer.queue.push_back(std::move(message));
    // The oldest is of least use: Raft repeats what matters with newer contents.
    while (peer.queue.size() > options.queue_messages ||
           (peer.queued_bytes > options.queue_bytes && peer.queue.size() > 1)) {
        peer.queued_bytes -= peer.queue.front().size();
        peer.queue.pop_front();
    }
    peer.wake.set();
}

void PeerTransport::break_off(NodeId peer) {
    if (state_->server != nullptr) state_->server->hang_up(peer);
}

void PeerTransport::set_receiver(core::Callback<void(NodeId, core::Bytes)> receiver) {
    state_->receiver = std::move(receiver);
}

void PeerTransport::set_lost(core::Callback<void(NodeId)> lost) {
    state_->lost = std::move(lost);
}

void PeerTransport::set_refused(core::Callback<void(NodeId, const core::Error&)> refused) {
    state_->not_let_in = std::move(refused);
}

void PeerTransport::set_addressed(core::Callback<void(NodeId, const std::string&)> addressed) {
    state_->addressed = std::move(addressed);
}

Task<void> PeerTransport::State::run(Peer& peer) {
    core::Duration backoff = options.backoff_min;
    for (;;) {
        // Followers write to each other in elections only, which should not wait for a handshake.
        while (peer.address.empty()) {
            peer.wake.reset();
            auto woken = co_await peer.wake.wait();
            if (!woken) co_return;
        }
        auto client = co_await connect(peer);
        if (client) {
            peer.connected = true;
            backoff = options.backoff_min;
            logger.info("connected to peer", {{"node", peer.id.value}, {"address", peer.address}});
            auto ended = co_await pump(peer, **client);
            peer.connected = false;
            co_await (*client)->close();
            if (peer.scope.cancelled()) co_return;
            if (!ended) {
                logger.info("lost peer", {{"node", peer.id.value}, {"why", ended.error().message}});
                if (!closed && lost) lost(peer.id);
                const bool denied = ended.error().code == Errc::kDenied;
                if (denied && !closed && not_let_in) not_let_in(peer.id, ended.error());
            }
        } else {
            if (peer.scope.cancelled()) co_return;
            core::LogField why("why", client.error().message);
            bool refused = client.error().code == Errc::kDenied || client.error().code == Errc::kUnsupported;
            if (refused)
                logger.warning("peer refused", {{"node", peer.id.value}, {"address", peer.address}, why});
            if (!refused)
                logger.debug("peer not reached", {{"node", peer.id.value}, {"address", peer.address}, why});
        }
        auto slept = co_await sleep(loop, backoff);
        if (!slept) co_return;
        backoff = std::min(backoff * 2, options.backoff_max);
    }
}

Task<Result<std::unique_ptr<RpcClient>>> PeerTransport::State::connect(Peer& peer) {
    std::string what = std::format("connecting to node {} at {}", peer.id.value, peer.address);
    co_return co_await with_deadline(loop, options.connect_limit, std::move(what), connect_unlimited(peer));
}

Task<Result<std::unique_ptr<RpcClient>>> PeerTransport::State::connect_unlimited(Peer& peer) {
    CO_TRY_ASSIGN(HostPort at, parse_host_port(peer.address));
    CO_TRY_ASSIGN(auto raw, co_await connect_host(loop, std::move(at), options.connect_limit,
                                                  options.unacknowledged_max));
    std::shared_ptr<const TlsConfig> tls = config();
    if (tls == nullptr) co_return core::fail(Errc::kUnavailable, "no certificate yet");
    // No host name is checked: a node is known by the URI in its certificate, wherever it lives.
    CO_TRY_ASSIGN(auto stream, co_await engine.connect(std::move(raw), std::move(tls), ""));
    auto trusted = check(stream->tls(), peer.id);
    if (!trusted) {
        co_await stream->close();
        co_return std::unexpected(std::move(trusted.error()));
    }
    Hello self{kProtocolVersion, options.software, options.self};
    co_return co_await RpcClient::connect(loop, std::move(stream), std::move(self));
}

Result<void> PeerTransport::State::check(const TlsSession* tls, NodeId claimed) const {
    if (tls == nullptr || !tls->peer_certificate())
        return core::fail(Errc::kDenied, "the peer shows no certificate");
    if (tls->alpn() != kPeerAlpn) return core::fail(Errc::kDenied, "the peer does not speak {}", kPeerAlpn);
    TRY_ASSIGN(NodeId node, node_of_certificate(*tls->peer_certificate(), options.cluster_id));
    if (node != claimed) {
        return core::fail(Errc::kDenied, "the certificate is of node {}, not of node {}", node.value,
                          claimed.value);
    }
    return {};
}

namespace {

/// Wakes the pump when the connection breaks.
Task<void> watch(RpcClient& client, Event& wake) {
    core::Error why = co_await client.broken_reason();
    static_cast<void>(why);
    wake.set();
}

}  // namespace

/// Sends what is queued until the connection breaks or the address changes.
Task<Result<void>> PeerTransport::State::pump(Peer& peer, RpcClient& client) {
    Scope watcher(loop);
    watcher.spawn(watch(client, peer.wake));
    std::string address = peer.address;
    Result<void> going;
    if (!options.address.empty())
        going = co_await client.send_notice(std::string(kAddressTopic), options.address);
    while (going && !client.broken() && peer.address == address) {
        if (peer.queue.empty()) {
            peer.wake.reset();
            going = co_await peer.wake.wait();
            continue;
        }
        core::Bytes message = std::move(peer.queue.front());
        peer.queue.pop_front();
        peer.queued_bytes -= message.size();
        going = co_await client.send_notice(std::string(kTopic), std::move(message));
    }
    co_await watcher.close();
    if (going && client.broken()) {
        core::Error why = co_await client.broken_reason();
        co_return std::unexpected(std::move(why));
    }
    co_return going;
}

void PeerTransport::attach(RpcServer& server, Admit admit) {
    State* state = state_.get();
    state->server = &server;
    server.on_caller([state, admit = std::move(admit)](const Caller& caller) mutable -> Result<void> {
        TRY(state->check(caller.tls(), caller.hello.node));
        if (!admit) return {};
        return admit(caller.hello.node, *caller.tls()->peer_certificate());
    });
    // Raft answers by the way of its own that it has to a peer. A server that was away may know none to those
    // who came meanwhile; what it knows from Raft's configuration is not replaced.
    server.on_notice(std::string(kAddressTopic), [state](core::Bytes body, const Caller& caller) {
        if (state->closed || body.size() > kAddressBytesMax || !parse_host_port(body)) return;
        if (state->addressed) state->addressed(caller.hello.node, body);
        State::Peer& peer = state->peer_of(caller.hello.node);
        if (!peer.address.empty()) return;
        peer.address = std::move(body);
        peer.wake.set();
    });
    server.on_notice(std::string(kTopic), [state](core::Bytes body, const Caller& caller) {
        if (!state->closed && state->receiver) state->receiver(caller.hello.node, std::move(body));
    });
}

bool PeerTransport::connected(NodeId peer) const {
    auto found = state_->peers.find(peer);
    return found != state_->peers.end() && found->second->connected;
}

void PeerTransport::forget(NodeId peer) {
    auto found = state_->peers.find(peer);
    if (found == state_->peers.end()) return;
    std::unique_ptr<State::Peer> gone = std::move(found->second);
    state_->peers.erase(found);
    auto bury = [](std::unique_ptr<State::Peer> dead) -> Task<void> { co_await dead->scope.close(); };
    gone->scope.cancel("the peer was removed");
    state_->scope.spawn(bury(std::move(gone)));
}

Task<void> PeerTransport::close() {
    state_->closed = true;
    for (auto& [id, peer] : state_->peers) co_await peer->scope.close();
    co_await state_->scope.close();
}

}  // namespace smackd::net::rpc
