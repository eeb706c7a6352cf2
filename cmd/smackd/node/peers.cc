#include "cmd/smackd/node/peers.h"

#include <format>

#include "net/wait.h"

namespace smackd::cmd {
namespace {

inline constexpr core::Duration kDialLimit = core::seconds(3);

net::rpc::PeerTransportOptions transport_options(const PeersOptions& options) {
    net::rpc::PeerTransportOptions transport;
    transport.cluster_id = options.cluster_id;
    transport.self = options.self;
    transport.software = options.software;
    return transport;
}

net::rpc::Hello hello_of(const PeersOptions& options) {
    net::rpc::Hello hello;
    hello.software = options.software;
    hello.node = options.self;
    return hello;
}

}  // namespace

Peers::Peers(net::Loop& loop, net::WorkerPool& workers, PeersOptions options, TlsSource tls, PeerCalls& calls,
             core::Logger logger)
    : loop_(loop),
      engine_(loop, workers),
      options_(std::move(options)),
      tls_(std::move(tls)),
      calls_(calls),
      logger_(std::move(logger)),
      server_(loop, hello_of(options_), {}, logger_),
      transport_(loop, engine_, transport_options(options_), std::move(tls_.transport_client), logger_),
      scope_(loop) {
    transport_.attach(server_);
    server_.on_call("propose", [this](core::Bytes request, const net::rpc::Caller&) {
        return answer_propose(std::move(request));
    });
    server_.on_call("barrier", [this](core::Bytes, const net::rpc::Caller&) { return answer_barrier(); });
}

Peers::~Peers() = default;

core::Result<void> Peers::listen() {
    auto address = net::Address::parse(options_.listen);
    if (!address) return core::pass(std::move(address), "cluster address");
    auto listener = net::Listener::tcp(loop_, *address);
    if (!listener) {
        return core::pass(
            std::move(listener),
            std::format("listening on {} (choose another with --cluster-addr)", options_.listen));
    }
    std::map<std::string, net::TlsProtocol> protocols;
    protocols[std::string(net::rpc::kPeerAlpn)].serve = [this](std::unique_ptr<net::Stream> stream) {
        return serve(std::move(stream));
    };
    door_ = std::make_unique<net::TlsDoor>(
        engine_, std::move(*listener),
        net::TlsDoorOptions{"cluster", kPeerConnectionsMax, kPeerConnectionsMax}, std::move(tls_.server),
        std::move(protocols), logger_);
    door_->start();
    return {};
}

net::Task<void> Peers::serve(std::unique_ptr<net::Stream> stream) {
    std::string from = stream->peer();
    auto allowed = check(*stream);
    if (!allowed) {
        logger_.warning("refused at the cluster address", {{"peer", from}, {"why", allowed.error().message}});
        co_await stream->close();
        co_return;
    }
    auto served = co_await server_.serve(std::move(stream));
    if (!served)
        logger_.debug("a server's connection ended", {{"peer", from}, {"why", served.error().message}});
}

core::Result<void> Peers::check(const net::Stream& stream) const {
    const auto& certificate = stream.tls()->peer_certificate();
    if (!certificate) return core::fail(core::Errc::kDenied, "no certificate");
    TRY_ASSIGN(core::NodeId node, net::rpc::node_of_certificate(*certificate, options_.cluster_id));
    return calls_.check_peer(node);
}

net::Task<core::Result<core::Bytes>> Peers::answer_propose(core::Bytes request) {
    net::UncancellableWait<core::Bytes> wait(loop_);
    calls_.peer_proposes(std::move(request),
                         [&wait](core::Result<core::Bytes> result) { wait.complete(std::move(result)); });
    co_return co_await wait;
}

net::Task<core::Result<core::Bytes>> Peers::answer_barrier() {
    net::UncancellableWait<core::Bytes> wait(loop_);
    calls_.peer_barrier([&wait](core::Result<core::Bytes> result) { wait.complete(std::move(result)); });
    co_return co_await wait;
}

void Peers::call(core::NodeId node, std::string address, std::string method, core::Bytes request,
                 core::Callback<void(core::Result<core::Bytes>)> done) {
    scope_.spawn(run_call(node, std::move(address), std::move(method), std::move(request), std::move(done)));
}

net::Task<void> Peers::run_call(core::NodeId node, std::string address, std::string method,
                                core::Bytes request, core::Callback<void(core::Result<core::Bytes>)> done) {
    auto answer = co_await call_over_link(node, std::move(address), std::move(method), std::move(request));
    done(std::move(answer));
}

net::Task<core::Result<core::Bytes>> Peers::call_over_link(core::NodeId node, std::string address,
                                                           std::string method, core::Bytes request) {
    CO_TRY_ASSIGN(Client client, co_await link_to(node, std::move(address)));
    co_return co_await client->call(std::move(method), std::move(request), kForwardLimit);
}

net::Task<core::Result<Peers::Client>> Peers::link_to(core::NodeId node, std::string address) {
    auto& slot = links_[node];
    if (!slot) slot = std::make_unique<Link>(loop_);
    Link& link = *slot;
    if (link.client && !link.client->broken()) co_return link.client;
    CO_TRY(co_await link.dialling.acquire());
    net::Semaphore::Permit permit(link.dialling);
    if (link.client && !link.client->broken()) co_return link.client;
    if (Client old = std::exchange(link.client, nullptr)) co_await old->close();
    CO_TRY_ASSIGN(link.client, co_await dial(node, std::move(address)));
    co_return link.client;
}

net::Task<core::Result<Peers::Client>> Peers::dial(core::NodeId node, std::string address) {
    auto to = net::parse_host_port(address);
    if (!to) co_return core::pass(std::move(to), "a server's address");
    CO_TRY_ASSIGN(auto raw, co_await net::connect_host(loop_, *to, kDialLimit));
    CO_TRY_ASSIGN(auto stream, co_await engine_.connect(std::move(raw), tls_.client(), ""));
    const auto& certificate = stream->tls()->peer_certificate();
    auto found = certificate
                     ? net::rpc::node_of_certificate(*certificate, options_.cluster_id)
                     : core::fail(core::Errc::kDenied, "the server at {} has no certificate", address);
    if (!found || *found != node) {
        co_await stream->close();
        if (!found) co_return core::pass(std::move(found));
        co_return core::fail(core::Errc::kDenied, "{} is node {}, not node {}", address, found->value,
                             node.value);
    }
    CO_TRY_ASSIGN(auto client,
                  co_await net::rpc::RpcClient::connect(loop_, std::move(stream), hello_of(options_)));
    co_return Client(std::move(client));
}

net::Task<void> Peers::close() {
    if (door_) co_await door_->close();
    co_await transport_.close();
    co_await scope_.close();
    for (auto& [node, link] : links_) {
        if (link->client) co_await link->client->close();
    }
    links_.clear();
}

}  // namespace smackd::cmd
