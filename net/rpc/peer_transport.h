// PeerTransport: Raft messages between servers over mutual TLS. core::Transport for production.
//
// One outbound connection per peer carries this node's messages; the peer's come by its own connection to us.
// Both ends check the other's certificate: signed by the cluster's CA and naming smack://<cluster>/node/<id>.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "core/logger.h"
#include "core/transport.h"
#include "core/units.h"
#include "net/rpc/rpc.h"
#include "net/scope.h"
#include "net/socket.h"
#include "net/tls/tls.h"

namespace smackd::net::rpc {

inline constexpr std::string_view kPeerAlpn = "smack/1";

struct PeerTransportOptions {
    std::string cluster_id;
    core::NodeId self;
    std::string software;
    std::string address;                   ///< HOST:PORT of this node, told to each peer; empty: not told
    size_t queue_messages = 1024;          ///< per peer; the oldest is dropped beyond it
    size_t queue_bytes = 32 * core::kMiB;  ///< per peer
    core::Duration backoff_min = std::chrono::milliseconds(50);
    core::Duration backoff_max = std::chrono::seconds(1);
    core::Duration connect_limit = std::chrono::seconds(3);       ///< TCP and TLS together
    core::Duration unacknowledged_max = std::chrono::seconds(3);  ///< then the connection is made anew
};

/// The node a certificate names by its URI smack://<cluster_id>/node/<id>; kDenied when it has none or
/// several, or is of another cluster.
core::Result<core::NodeId> node_of_certificate(const crypto::Certificate& certificate,
                                               std::string_view cluster_id);
std::string node_uri(std::string_view cluster_id, core::NodeId node);

class PeerTransport final : public core::Transport {
 public:
    /// `config` gives the client configuration for the next connection (mutual TLS, ALPN kPeerAlpn).
    using ConfigSource = core::Callback<std::shared_ptr<const TlsConfig>()>;
    PeerTransport(Loop& loop, TlsEngine& engine, PeerTransportOptions options, ConfigSource config,
                  core::Logger logger = {});
    /// close() has returned.
    ~PeerTransport() override;

    void set_address(core::NodeId peer, const std::string& address) override;
    void send(core::NodeId peer, core::Bytes message) override;
    void break_off(core::NodeId peer) override;
    void set_receiver(core::Callback<void(core::NodeId from, core::Bytes message)> receiver) override;
    void set_lost(core::Callback<void(core::NodeId peer)> lost) override;
    /// Who is told when a peer, proved by its certificate, does not let this node in: kDenied with its
    /// reason.
    void set_refused(core::Callback<void(core::NodeId peer, const core::Error& why)> refused);
    /// Who is told where a caller says it is dialled, HOST:PORT; once a connection.
    void set_addressed(core::Callback<void(core::NodeId peer, const std::string& address)> addressed);

    /// Makes `server`, which serves this node's ALPN kPeerAlpn connections, check every caller's certificate
    /// against its hello, ask `admit` (the registry: suspended or removed nodes), and bring Raft messages
    /// here.
    using Admit =
        core::Callback<core::Result<void>(core::NodeId node, const crypto::Certificate& certificate)>;
    void attach(RpcServer& server, Admit admit = {});
    /// True while an outbound connection to `peer` is up.
    bool connected(core::NodeId peer) const;
    /// Forgets a peer and cuts its connection (removed from the cluster).
    void forget(core::NodeId peer);
    Task<void> close();

 private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace smackd::net::rpc
