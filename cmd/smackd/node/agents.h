// The agents' streams of a server, on a thread of their own: heartbeats, feeds, and gossip for those that
// cannot be reached. Hundreds of them, all coming back at once or all told of a change, take no time from
// consensus and its heartbeats.
//
// The door (peers.h) accepts and checks, on the consensus loop; then the connection moves to this loop.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "auth/registry.h"
#include "cmd/smackd/node/agent_feeds.h"
#include "cmd/smackd/node/agent_orders.h"
#include "cmd/smackd/node/liveness.h"
#include "cmd/smackd/node/loop_thread.h"
#include "cmd/smackd/node/outbox.h"
#include "cmd/smackd/node/task_relay.h"
#include "core/wire/join.pb.h"
#include "net/rpc/rpc.h"
#include "services/apps/edge_issuer.h"

namespace smackd::cmd {

/// What an agent may report in one call.
inline constexpr int kReportChangesMax = 64;
inline constexpr size_t kReportBytesMax = 256 * 1024;
/// Gossip packets that wait for an agent's stream; more push out the oldest, as on a network.
inline constexpr size_t kStreamPacketsMax = 256;

class Agents {
 public:
    struct Parts {
        net::rpc::Hello self;
        net::WorkerPool& workers;
        storage::feed::Hub& hub;
        storage::state::ReaderOptions reader;
        /// What an agent learns at each heartbeat; any thread.
        core::Callback<wire::HeartbeatAnswer()> standing;
        /// Proposes a serialized command; `done` on any thread with a serialized wire.CommandResult.
        core::Callback<void(core::Bytes, core::Callback<void(core::Result<core::Bytes>)>)> propose;
        /// `done` on any thread with a revision: who has applied it sees everything acknowledged before.
        core::Callback<void(core::Callback<void(core::Result<core::Revision>)>)> barrier;
        /// Answers what an agent asks for one of its tasks (task_relay.h); `done` on any thread.
        core::Callback<void(core::NodeId, std::string_view call, core::Bytes,
                            core::Callback<void(core::Result<core::Bytes>)>)>
            ask_for_task;
        std::string realm;  ///< of the cluster
        services::EdgeIssuer issuer;
        core::Clock& clock;
        core::Logger logger;
    };
    /// All of it outlives this. Starts the thread.
    explicit Agents(Parts parts);
    /// stop() when that was not called.
    ~Agents();
    Agents(const Agents&) = delete;
    Agents& operator=(const Agents&) = delete;

    // Any thread, in the order of the calls.
    /// Serves a connection that the door let in and that is on no loop now (net/move_stream.h); `done` runs
    /// on this thread when it has ended.
    void serve(std::unique_ptr<net::Stream> stream, auth::AdmittedNode agent, core::Callback<void()> done);
    /// Ends the connections of a node, now and in the making.
    void cut(core::NodeId node);
    /// What agents are told of the servers: a serialized wire.ServerList.
    void set_servers(core::Bytes list);
    void set_gossip(std::shared_ptr<Liveness> liveness, wire::GossipKeys keys);
    /// See AgentOrders::ask; `done` on any thread.
    void ask(core::NodeId agent, std::string method, core::Bytes request,
             core::Callback<void(core::Result<core::Bytes>)> done);
    /// For an agent whose stream ends here.
    void gossip_packet(core::NodeId agent, core::Bytes packet);
    /// Ends all connections and the thread. What comes later is closed at once.
    void stop();

 private:
    void add_calls();
    net::Task<void> serve_one(std::unique_ptr<net::Stream> stream, auth::AdmittedNode agent,
                              core::Callback<void()> done);
    core::Result<void> check(const net::rpc::Caller& caller) const;
    net::Task<core::Result<core::Bytes>> answer_heartbeat(core::Bytes request, core::NodeId agent);
    net::Task<core::Result<core::Bytes>> answer_report(core::NodeId agent, core::Bytes request);
    net::Task<core::Result<core::Bytes>> answer_own_tasks(core::NodeId agent);
    net::Task<core::Result<core::Bytes>> answer_certificates(core::NodeId agent, core::Bytes request);
    net::Task<core::Result<core::Bytes>> answer_for_task(core::NodeId agent, std::string_view call,
                                                         core::Bytes request);
    net::Task<core::Result<core::Bytes>> answer_sync(core::NodeId agent, core::Bytes request);
    net::Task<core::Result<void>> send_gossip(core::NodeId agent, net::rpc::ItemWriter& out);

    Parts parts_;
    LoopThread thread_;
    net::Scope scope_;
    net::rpc::RpcServer server_;
    AgentFeeds feeds_;
    AgentOrders orders_;
    std::map<const net::Stream*, core::NodeId> admitted_;  // by the door; zero: cut meanwhile
    std::map<core::NodeId, std::string> machines_;         // of those that are connected
    core::Bytes servers_;                                  // empty before the state is here
    core::Bytes servers_sha256_;
    std::shared_ptr<Liveness> liveness_;  // also the control thread's
    wire::GossipKeys gossip_keys_;
    std::map<core::NodeId, std::shared_ptr<Outbox>> outboxes_;  // by agent; also the stream's that empties it
    std::mutex stopping_;  // guards the next, or a connection could come to a loop that has ended
    bool stopped_ = false;
};

}  // namespace smackd::cmd
