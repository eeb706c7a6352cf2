// Joining a cluster and renewing a node's certificate, from this machine's side. Blocks; used by the command
// line and by the renewal thread of an agent, never on a loop.
//
//     cluster/node.key        this node's TLS key; made before it asks, so that asking twice is one join
//     cluster/node.key.next   the key of a renewal under way
//     cluster/node.pem, ca.pem
//     cluster/members.json    the servers as it was last told, their KDCs in krb5.conf
//     keytabs/node.keytab     the machine's keys
#pragma once

#include <string>
#include <vector>

#include "auth/registry.h"
#include "cmd/smackd/data_directory.h"
#include "cmd/smackd/join_bundle.h"
#include "cmd/smackd/node_keys.h"
#include "core/wire/join.pb.h"

namespace smackd::cmd {

/// A KDC that does not answer costs this much, then the next seed is tried.
inline constexpr core::Duration kTicketLimit = core::seconds(20);
inline constexpr core::Duration kJoinConnectLimit = core::seconds(5);
/// The member waits for its leader meanwhile.
inline constexpr core::Duration kJoinExchangeLimit = core::seconds(40);

struct JoinPlan {
    std::string directory;
    JoinBundle bundle;    ///< from a file, or put together from the command line
    std::string role;     ///< "server", "agent"; empty: what the registry allows
    std::string address;  ///< HOST:PORT that other nodes dial
    std::string zone;
    std::string version;
};

/// Joins and writes the data directory; node.json comes last. The process's KRB5_CONFIG is set when the
/// bundle names KDCs, so no other thread may run yet. kConflict when the directory holds a running node.
core::Result<NodeIdentity> join_cluster(const JoinPlan& plan);

/// How a renewal went.
struct Renewal {
    bool proved = true;  ///< false: over mutual TLS alone, no KDC answered
    std::string kdc_error{};
    NodeIdentity identity{};
};
/// A certificate for a new key: keytab proof over mutual TLS; without a KDC over mutual TLS alone, which the
/// cluster grants for 72 hours after the last proof. When the certificate has expired meanwhile: one for the
/// same key, by the keytab alone, as when joining again.
core::Result<Renewal> renew_certificate(const DataDirectory& directory, const std::string& version);

/// This node's key and certificate as they are on disk now.
core::Result<TlsIdentity> read_node_identity(const DataDirectory& directory);
core::Result<std::string> read_ca(const DataDirectory& directory);
/// The servers this node was told of; empty when it did not join.
std::vector<auth::AdmittedNode> read_join_members(const DataDirectory& directory);
/// Replaces them and, with an embedded realm, the KDCs of krb5.conf: that of server `near` first.
core::Result<void> write_servers(const DataDirectory& directory, const wire::ServerList& servers,
                                 const std::string& realm, const std::string& near);
/// Who may speak, as the member had it that let this server join; kNotFound when it was told of nobody.
core::Result<auth::Registry> read_join_registry(const DataDirectory& directory,
                                                const std::string& cluster_id);

}  // namespace smackd::cmd
