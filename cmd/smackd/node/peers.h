// This server's connections with the other servers: Raft messages, and proposals on their way to the leader.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "core/callback.h"
#include "core/ids.h"
#include "core/logger.h"
#include "core/result.h"
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
    /// kDenied unless the node is a server of this cluster now.
    virtual core::Result<void> check_peer(core::NodeId node) = 0;
    /// Serialized wire.Command in, wire.CommandResult out; only when this server leads.
    virtual void peer_proposes(core::Bytes command, core::Callback<void(core::Result<core::Bytes>)> done) = 0;
    /// The revision ("3.42") that holds everything acknowledged before.
    virtual void peer_barrier(core::Callback<void(core::Result<core::Bytes>)> done) = 0;
};

struct PeersOptions {
    core::NodeId self;
    std::string cluster_id;
    std::string software;
    std::string listen;  ///< HOST:PORT
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
    core::Transport& transport() { return transport_; }

    /// Calls `method` at a server; `done` on the loop. kUnavailable when it cannot be reached.
    void call(core::NodeId node, std::string address, std::string method, core::Bytes request,
              core::Callback<void(core::Result<core::Bytes>)> done);
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
    net::Task<void> run_call(core::NodeId node, std::string address, std::string method, core::Bytes request,
                             core::Callback<void(core::Result<core::Bytes>)> done);
    net::Task<core::Result<core::Bytes>> call_over_link(core::NodeId node, std::string address,
                                                        std::string method, core::Bytes request);
    net::Task<core::Result<Client>> link_to(core::NodeId node, std::string address);
    net::Task<core::Result<Client>> dial(core::NodeId node, std::string address);
    core::Result<void> check(const net::Stream& stream) const;
    net::Task<core::Result<core::Bytes>> answer_propose(core::Bytes request);
    net::Task<core::Result<core::Bytes>> answer_barrier();

    net::Loop& loop_;
    net::TlsEngine engine_;
    PeersOptions options_;
    TlsSource tls_;
    PeerCalls& calls_;
    core::Logger logger_;
    net::rpc::RpcServer server_;
    net::rpc::PeerTransport transport_;
    std::unique_ptr<net::TlsDoor> door_;
    net::Scope scope_;
    std::map<core::NodeId, std::unique_ptr<Link>> links_;
};

}  // namespace smackd::cmd
