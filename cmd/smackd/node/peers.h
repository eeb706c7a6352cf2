// What this server serves and dials at the cluster's address: Raft messages and proposals between servers,
// the agents' streams, and machines that join. Who may come in is decided in core/cluster/access.h.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "auth/refusal_log.h"
#include "auth/registry.h"
#include "cmd/smackd/node/agents.h"
#include "core/callback.h"
#include "core/cluster/access.h"
#include "core/ids.h"
#include "core/logger.h"
#include "core/result.h"
#include "core/wire/join.pb.h"
#include "net/loop.h"
#include "net/rpc/peer_transport.h"
#include "net/rpc/rpc.h"
#include "net/scope.h"
#include "net/socket.h"
#include "net/sync.h"
#include "net/tls/door.h"

namespace smackd::cmd {

/// How long a forwarded proposal or barrier may take at the leader.
inline constexpr core::Duration kForwardLimit = core::seconds(10);
inline constexpr size_t kPeerConnectionsMax = 256;

/// What the other servers may ask of this one; called on the loop.
class PeerCalls {
 public:
    virtual ~PeerCalls() = default;
    /// Where the replica stands; nothing before there is one.
    virtual std::optional<core::cluster::RaftStanding> raft_standing() = 0;
    /// Serialized wire.Command in, wire.CommandResult out; only when this server leads.
    virtual void peer_proposes(core::Bytes command, core::Callback<void(core::Result<core::Bytes>)> done) = 0;
    /// The revision ("3.42") that holds everything acknowledged before.
    virtual void peer_barrier(core::Callback<void(core::Result<core::Bytes>)> done) = 0;
};

/// A machine that is not in the registry asked to join; kept by the leader, in memory.
inline constexpr size_t kPendingMachinesMax = 256;

struct PeersOptions {
    core::NodeId self;
    std::string cluster_id;
    std::string software;
    std::string listen;     ///< HOST:PORT
    std::string address;    ///< HOST:PORT that the others dial; empty: not known
    uint16_t kdc_port = 0;  ///< of the embedded realm's KDCs; 0: the realm is the site's
};

/// Loop thread only.
class Peers {
 public:
    struct TlsSource {
        core::Callback<std::shared_ptr<const net::TlsConfig>()> server;
        core::Callback<std::shared_ptr<const net::TlsConfig>()> client;
        core::Callback<std::shared_ptr<const net::TlsConfig>()> transport_client;
    };
    Peers(net::Loop& loop, net::WorkerPool& workers, PeersOptions options, TlsSource tls, PeerCalls& calls,
          core::Logger logger);
    /// close() has returned.
    ~Peers();

    core::Result<void> listen();
    /// Who may come in from now on; the connections of all others end at once.
    void set_registry(std::shared_ptr<const auth::Registry> registry);
    std::shared_ptr<const auth::Registry> registry() const { return access_.registry(); }
    /// Is it heard?
    bool lets_in(core::NodeId node) const { return access_.lets_in(node); }
    /// The Raft configuration may have changed.
    void raft_changed();
    /// Asks another server who may speak now: nothing was heard of a leader for long. Who was removed hears
    /// that; see set_removed().
    void ask_for_registry();
    /// Serves connections with ALPN "smack-join/1"; without it they are closed.
    using Join = core::Callback<net::Task<void>(std::unique_ptr<net::Stream>)>;
    void set_join(Join join) { join_ = std::move(join); }
    /// Told of everybody who was refused.
    void set_refused(core::Callback<void(auth::Refusal)> refused) { refused_ = std::move(refused); }
    /// Told when another server says that this node was removed from the cluster; more than once, perhaps.
    void set_removed(core::Callback<void(const core::Error& why)> removed) { removed_ = std::move(removed); }
    /// What other servers ask of this node's tasks: the method and request of a wire.NodeOrder; `done` on any
    /// thread.
    using Orders =
        core::Callback<void(std::string, core::Bytes, core::Callback<void(core::Result<core::Bytes>)>)>;
    void set_orders(Orders orders) { orders_ = std::move(orders); }
    /// Asks another node, wherever its stream ends; `done` on the loop. kUnavailable when it is not
    /// connected.
    void order(core::NodeId node, std::string method, core::Bytes request,
               core::Callback<void(core::Result<core::Bytes>)> done);
    /// Machines that asked at this server while it led.
    wire::PendingMachines pending() const;
    void note_pending(wire::PendingMachine machine);
    core::Transport& transport() { return transport_; }
    /// Serves the agents from here on; nullptr: no more, for it stops. Before, they are told to come again.
    void set_agents(Agents* agents);
    /// Gossip over this address' streams from here on; agents are told `keys`.
    void set_gossip(std::shared_ptr<Liveness> liveness, wire::GossipKeys keys);
    /// What the membership wants of a stream: push-pull with that server, or with another one where the
    /// member is an agent, which cannot be dialled.
    void gossip_stream(const core::gossip::StreamWanted& wanted);
    /// For an agent whose stream ends here.
    void gossip_packet(core::NodeId agent, core::Bytes packet);

    /// Calls `method` at a server; `done` on the loop. kUnavailable when it cannot be reached,
    /// kUnknownOutcome when it was asked and no answer came.
    void call(core::NodeId node, std::string address, std::string method, core::Bytes request,
              core::Callback<void(core::Result<core::Bytes>)> done);
    /// Ends the calls that wait for this server, which may never answer.
    void give_up(core::NodeId node);
    /// Sends a one-way message to a server, if it can be reached.
    void tell(core::NodeId node, std::string address, std::string topic, core::Bytes body);
    net::Task<void> close();

 private:
    /// Shared by the calls that run over it: the last one lets a replaced client go.
    using Client = std::shared_ptr<net::rpc::RpcClient>;
    struct Link {
        explicit Link(net::Loop& loop) : dialling(loop, 1) {}
        net::Semaphore dialling;
        Client client;
    };
    net::Task<void> serve(std::unique_ptr<net::Stream> stream);
    net::Task<void> serve_join(std::unique_ptr<net::Stream> stream);
    net::Task<core::Result<core::Bytes>> call_over_link(core::NodeId node, std::string address,
                                                        std::string method, core::Bytes request);
    net::Task<void> run_tell(core::NodeId node, std::string address, std::string topic, core::Bytes body);
    net::Task<core::Result<Client>> link_to(core::NodeId node, std::string address);
    net::Task<core::Result<Client>> dial(core::NodeId node, std::string address);
    net::Task<core::Result<Client>> dial_unlimited(core::NodeId node, std::string address);
    core::Result<auth::AdmittedNode> check(const std::optional<net::crypto::Certificate>& certificate);
    void carry_out(const core::cluster::AccessChange& change);
    void record(const std::string& peer, std::string reason, std::string request, const core::Error& why);
    void heed_refusal(const core::Error& why);
    void cut(core::NodeId node, const core::Error& why);
    const auth::AdmittedNode* gossip_partner(const core::gossip::StreamWanted& wanted);
    void sync_with(core::NodeId node, std::string address, core::Bytes request, bool first);
    net::Task<core::Result<core::Bytes>> answer_sync(core::NodeId peer, core::Bytes request);
    net::Task<void> serve_agent(std::unique_ptr<net::Stream> stream, auth::AdmittedNode agent);
    void list_servers();
    void add_orders();
    net::Task<core::Result<core::Bytes>> answer_order(core::Bytes request);
    net::Task<core::Result<core::Bytes>> answer_ask(core::Bytes request);
    net::Task<core::Result<core::Bytes>> ask_own_agent(core::NodeId agent, std::string method,
                                                       core::Bytes request);
    net::Task<core::Result<core::Bytes>> run_order(core::NodeId node, std::string method,
                                                   core::Bytes request);
    std::vector<auth::AdmittedNode> by_likelihood(core::NodeId agent) const;
    net::Task<core::Result<core::Bytes>> answer_propose(core::Bytes request);
    net::Task<core::Result<core::Bytes>> answer_barrier();

    net::Loop& loop_;
    net::TlsEngine engine_;
    PeersOptions options_;
    TlsSource tls_;
    PeerCalls& calls_;
    core::Logger logger_;
    net::rpc::RpcServer server_;    // for servers
    net::rpc::RpcServer refusals_;  // tells nodes that are not let in why
    net::rpc::PeerTransport transport_;
    std::unique_ptr<net::TlsDoor> door_;
    net::Scope scope_;
    std::map<core::NodeId, std::unique_ptr<Link>> links_;
    core::cluster::Access access_;
    std::shared_ptr<const auth::Registry> listed_;  // that servers_ and other_servers_ are of; access_'s too
    size_t asked_ = 0;                              // for the registry
    bool asking_ = false;
    core::Bytes servers_;  // wire.ServerList for the agents; empty before the state is here
    Join join_;
    Agents* agents_ = nullptr;
    Orders orders_;
    core::Callback<void(auth::Refusal)> refused_;
    core::Callback<void(const core::Error&)> removed_;
    std::map<std::string, wire::PendingMachine> pending_;  // by machine
    std::shared_ptr<Liveness> liveness_;                   // also the control thread's
    wire::GossipKeys gossip_keys_;
    std::vector<auth::AdmittedNode> other_servers_;  // in the registry
    std::map<core::NodeId, core::NodeId> agent_at_;  // which other server an agent was asked over last
    size_t sync_turn_ = 0;
};

}  // namespace smackd::cmd
