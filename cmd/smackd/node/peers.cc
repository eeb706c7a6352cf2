#include "cmd/smackd/node/peers.h"

#include <algorithm>
#include <format>

#include "auth/join_frame.h"
#include "cmd/smackd/node/foreign_wait.h"
#include "net/move_stream.h"
#include "net/wait.h"

namespace smackd::cmd {
namespace {

inline constexpr core::Duration kDialLimit = core::seconds(3);
inline constexpr size_t kClusterConnectionsMax = 4096;

net::rpc::PeerTransportOptions transport_options(const PeersOptions& options) {
    net::rpc::PeerTransportOptions transport;
    transport.cluster_id = options.cluster_id;
    transport.self = options.self;
    transport.software = options.software;
    transport.address = options.address;
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
      refusals_(loop, hello_of(options_), {}, logger_),
      transport_(loop, engine_, transport_options(options_), std::move(tls_.transport_client), logger_),
      scope_(loop),
      access_(options_.self) {
    transport_.attach(server_, [this](core::NodeId, const net::crypto::Certificate& certificate) {
        return check(certificate).transform([](const auth::AdmittedNode&) {});
    });
    transport_.set_refused([this](core::NodeId, const core::Error& why) { heed_refusal(why); });
    transport_.set_addressed(
        [this](core::NodeId node, const std::string& address) { access_.note_address(node, address); });
    refusals_.on_caller([this](const net::rpc::Caller& caller) -> core::Result<void> {
        TRY(check(caller.tls()->peer_certificate()));
        return core::fail(core::Errc::kUnavailable, "this server is starting or stopping; dial another one");
    });
    server_.on_call("gossip.sync", [this](core::Bytes request, const net::rpc::Caller& caller) {
        return answer_sync(caller.hello.node, std::move(request));
    });
    server_.on_call("pending",
                    [this](core::Bytes, const net::rpc::Caller&) -> net::Task<core::Result<core::Bytes>> {
                        return [](core::Bytes list) -> net::Task<core::Result<core::Bytes>> {
                            co_return list;
                        }(pending().SerializeAsString());
                    });
    server_.on_notice("pending", [this](core::Bytes body, const net::rpc::Caller&) {
        wire::PendingMachine machine;
        if (machine.ParseFromString(body)) note_pending(std::move(machine));
    });
    server_.on_call("propose", [this](core::Bytes request, const net::rpc::Caller&) {
        return answer_propose(std::move(request));
    });
    server_.on_call("registry", [this](core::Bytes, const net::rpc::Caller&) {
        return [](std::optional<auth::Registry> registry) -> net::Task<core::Result<core::Bytes>> {
            if (!registry) co_return core::fail(core::Errc::kUnavailable, "this server has no state yet");
            co_return registry->to_wire().SerializeAsString();
        }(access_.tell());
    });
    add_orders();
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
    net::TlsProtocol& join = protocols[std::string(auth::kJoinAlpn)];
    join.client_certificate = false;
    join.serve = [this](std::unique_ptr<net::Stream> stream) { return serve_join(std::move(stream)); };
    net::TlsDoorOptions door{"cluster", kClusterConnectionsMax, kPeerConnectionsMax};
    door.refused = [this](const std::string& peer, const core::Error& why) {
        record(peer, "certificate", "connect", why);
    };
    door_ = std::make_unique<net::TlsDoor>(engine_, std::move(*listener), std::move(door),
                                           std::move(tls_.server), std::move(protocols), logger_);
    door_->start();
    return {};
}

net::Task<void> Peers::serve_join(std::unique_ptr<net::Stream> stream) {
    if (join_) {
        co_await join_(std::move(stream));
    } else {
        co_await stream->close();
    }
}

net::Task<void> Peers::serve(std::unique_ptr<net::Stream> stream) {
    std::string from = stream->peer();
    auto allowed = check(stream->tls()->peer_certificate());
    if (!allowed) record(from, "registry", "connect", allowed.error());
    if (allowed && !allowed->server && agents_ != nullptr)
        co_return co_await serve_agent(std::move(stream), std::move(*allowed));
    net::rpc::RpcServer& to = allowed && allowed->server ? server_ : refusals_;
    auto served = co_await to.serve(std::move(stream));
    if (!served)
        logger_.debug("a node's connection ended", {{"peer", from}, {"why", served.error().message}});
}

// Counted at the door until it has ended on the agents' thread; that ends when the agents are stopped.
net::Task<void> Peers::serve_agent(std::unique_ptr<net::Stream> stream, auth::AdmittedNode agent) {
    if (auto detached = net::detach_from_loop(*stream); !detached) {
        logger_.error("an agent's connection", {{"node", agent.id.value}, {"why", detached.error().message}});
        co_return;
    }
    net::UncancellableWait<void> wait(loop_);
    agents_->serve(std::move(stream), std::move(agent),
                   [this, &wait] { loop_.post([&wait] { wait.complete({}); }, "agent"); });
    static_cast<void>(co_await wait);
}

void Peers::set_agents(Agents* agents) {
    agents_ = agents;
    if (agents_ == nullptr) return;
    if (!servers_.empty()) agents_->set_servers(servers_);
    if (liveness_) agents_->set_gossip(liveness_, gossip_keys_);
}

core::Result<auth::AdmittedNode> Peers::check(const std::optional<net::crypto::Certificate>& certificate) {
    if (!certificate) return core::fail(core::Errc::kDenied, "no certificate");
    TRY_ASSIGN(const auth::CertifiedNode node, auth::certified_node(*certificate));
    if (node.cluster_id != options_.cluster_id)
        return core::fail(core::Errc::kDenied, "the certificate is of cluster {}", node.cluster_id);
    if (!calls_.raft_standing())
        return core::fail(core::Errc::kDenied, "node {} comes too early", node.id.value);
    raft_changed();
    return access_.check(node);
}

void Peers::record(const std::string& peer, std::string reason, std::string request, const core::Error& why) {
    logger_.warning("refused at the cluster address", {{"peer", peer}, {"why", why.message}});
    if (!refused_) return;
    refused_({.reason = std::move(reason),
              .principal = {},
              .source = peer,
              .door = "cluster",
              .request = std::move(request),
              .message = why.message});
}

void Peers::heed_refusal(const core::Error& why) {
    if (removed_ && auth::is_removal(why, options_.self)) removed_(why);
}

void Peers::set_registry(std::shared_ptr<const auth::Registry> registry) {
    raft_changed();
    carry_out(access_.follow(std::move(registry)));
}

void Peers::raft_changed() {
    if (auto raft = calls_.raft_standing()) carry_out(access_.follow(std::move(*raft)));
}

void Peers::ask_for_registry() {
    const auto server = access_.ask(asked_++);
    if (asking_ || !server) return;
    asking_ = true;
    call(server->id, server->address, "registry", {},
         [this, from = server->id](core::Result<core::Bytes> answer) {
             asking_ = false;
             auto told = answer ? auth::Registry::decode(*answer, options_.cluster_id)
                                : core::pass(std::move(answer));
             if (!told) {
                 logger_.debug("asking for the registry",
                               {{"node", from.value}, {"why", told.error().message}});
                 return;
             }
             carry_out(access_.hear(std::make_shared<const auth::Registry>(std::move(*told))));
         });
}

void Peers::carry_out(const core::cluster::AccessChange& change) {
    if (access_.registry() != listed_) list_servers();
    for (const auto& [node, why] : change.cut) cut(node, why);
    // Raft tells an address once; cutting forgot it.
    for (const auth::AdmittedNode& node : change.dial) transport_.set_address(node.id, node.address);
}

// By node id, so that two servers of one state do not tell an agent that goes from one to the other twice.
void Peers::list_servers() {
    listed_ = access_.registry();
    other_servers_.clear();
    wire::ServerList list;
    for (const auth::AdmittedNode& node : listed_->admitted()) {
        if (!node.server) continue;
        if (node.id != options_.self) other_servers_.push_back(node);
        wire::JoinMember& member = *list.add_members();
        member.set_node_id(node.id.value);
        member.set_machine(node.machine);
        member.set_address(node.address);
        if (options_.kdc_port != 0) list.add_kdcs(auth::kdc_of_server(node.address, options_.kdc_port));
    }
    servers_ = list.SerializeAsString();
    if (agents_ != nullptr) agents_->set_servers(servers_);
}

void Peers::cut(core::NodeId node, const core::Error& why) {
    logger_.info("connections of a node ended", {{"node", node.value}, {"why", why.message}});
    server_.cut(node);
    if (agents_ != nullptr) agents_->cut(node);
    transport_.forget(node);
    give_up(node);
}

void Peers::give_up(core::NodeId node) {
    auto link = links_.find(node);
    if (link == links_.end() || !link->second->client) return;
    scope_.spawn([](Client client) -> net::Task<void> {
        co_await client->close();
    }(std::exchange(link->second->client, nullptr)));
}

// ---- gossip over streams

void Peers::set_gossip(std::shared_ptr<Liveness> liveness, wire::GossipKeys keys) {
    liveness_ = std::move(liveness);
    gossip_keys_ = std::move(keys);
    if (agents_ != nullptr) agents_->set_gossip(liveness_, gossip_keys_);
}

const auth::AdmittedNode* Peers::gossip_partner(const core::gossip::StreamWanted& wanted) {
    for (const auth::AdmittedNode& server : other_servers_) {
        const bool same =
            wanted.node.value != 0 ? server.id == wanted.node : server.address == wanted.address;
        if (same) return &server;
    }
    const bool anyone = wanted.use == core::gossip::StreamUse::kSync && !other_servers_.empty();
    return anyone ? &other_servers_[sync_turn_++ % other_servers_.size()] : nullptr;
}

void Peers::gossip_stream(const core::gossip::StreamWanted& wanted) {
    const auth::AdmittedNode* partner = gossip_partner(wanted);
    if (partner == nullptr || !liveness_) return;
    liveness_->sync_request([this, node = partner->id, address = partner->address](core::Bytes request) {
        loop_.post(
            [this, node, address, request = std::move(request)] { sync_with(node, address, request, true); },
            "gossip sync");
    });
}

// Any answer at all shows that the peer lives.
void Peers::sync_with(core::NodeId node, std::string address, core::Bytes request, bool first) {
    if (scope_.cancelled()) return;
    call(node, address, "gossip.sync", std::move(request),
         [this, node, address, first](core::Result<core::Bytes> reply) {
             if (!reply || !liveness_) return;
             liveness_->heard(node, true);
             if (!first) return;
             liveness_->sync_reply(node, std::move(*reply),
                                   [this, node, address](core::Result<std::optional<core::Bytes>> second) {
                                       if (!second || !*second) return;
                                       loop_.post(
                                           [this, node, address, push = std::move(**second)] {
                                               sync_with(node, address, push, false);
                                           },
                                           "gossip sync");
                                   });
         });
}

net::Task<core::Result<core::Bytes>> Peers::answer_sync(core::NodeId peer, core::Bytes request) {
    if (!liveness_) co_return core::fail(core::Errc::kUnavailable, "this server has no gossip keys yet");
    co_return co_await await_foreign<core::Bytes>(
        loop_, [&](auto done) { liveness_->answer_sync(peer, std::move(request), std::move(done)); });
}

void Peers::gossip_packet(core::NodeId agent, core::Bytes packet) {
    if (agents_ != nullptr) agents_->gossip_packet(agent, std::move(packet));
}

wire::PendingMachines Peers::pending() const {
    wire::PendingMachines list;
    for (const auto& [name, machine] : pending_) *list.add_machines() = machine;
    return list;
}

void Peers::note_pending(wire::PendingMachine machine) {
    wire::PendingMachine& entry = pending_[machine.machine()];
    const uint32_t times = entry.times() + 1;
    entry = std::move(machine);
    entry.set_times(times);
    if (pending_.size() <= kPendingMachinesMax) return;
    pending_.erase(
        std::ranges::min_element(pending_, {}, [](const auto& one) { return one.second.time_ms(); }));
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
    scope_.spawn(tell_result(call_over_link(node, std::move(address), std::move(method), std::move(request)),
                             std::move(done)));
}

void Peers::tell(core::NodeId node, std::string address, std::string topic, core::Bytes body) {
    scope_.spawn(run_tell(node, std::move(address), std::move(topic), std::move(body)));
}

net::Task<void> Peers::run_tell(core::NodeId node, std::string address, std::string topic, core::Bytes body) {
    auto client = co_await link_to(node, std::move(address));
    if (client) static_cast<void>(co_await (*client)->send_notice(std::move(topic), std::move(body)));
}

net::Task<core::Result<core::Bytes>> Peers::call_over_link(core::NodeId node, std::string address,
                                                           std::string method, core::Bytes request) {
    CO_TRY_ASSIGN(Client client, co_await link_to(node, std::move(address)));
    auto answer = co_await client->call(std::move(method), std::move(request), kForwardLimit);
    // Only what ends the connection is the server's word about this node; an answer may be about another.
    if (!answer && client->broken()) heed_refusal(answer.error());
    const bool refused =
        !answer && answer.error().code == core::Errc::kDenied;  // let in nowhere, asked nothing
    const bool unanswered =
        !answer && !refused && (client->broken() || answer.error().code == core::Errc::kTimeout);
    if (!unanswered) co_return answer;
    co_return core::fail(core::Errc::kUnknownOutcome, "no answer came: {}", answer.error().message);
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

// TCP alone has a limit: a server that is stopped is still connected to by its kernel.
net::Task<core::Result<Peers::Client>> Peers::dial(core::NodeId node, std::string address) {
    std::string what = std::format("connecting to server {} at {}", node.value, address);
    co_return co_await net::with_deadline(loop_, kDialLimit, std::move(what),
                                          dial_unlimited(node, std::move(address)));
}

net::Task<core::Result<Peers::Client>> Peers::dial_unlimited(core::NodeId node, std::string address) {
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
