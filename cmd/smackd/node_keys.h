// The secrets of a server node on its own disk: what it reads at each start before it has any state.
//
//     cluster/server.key        this server's own key (0600); seals the next
//     cluster/cluster.key       the cluster key, sealed under server.key
//     cluster/ca.pem            the cluster's CA
//     cluster/ca.key            its private key, sealed under the cluster key; so are the two below
//     cluster/token.key         what sign-in tokens are signed with
//     cluster/realm.key         master key of the embedded realm
//     cluster/node.key, api.key this node's TLS keys (0600)
//     cluster/node.pem          its certificate of 24 hours, renewed by the node
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "auth/cluster_ca.h"
#include "auth/realm.h"
#include "auth/sealing.h"
#include "auth/token.h"
#include "cmd/smackd/data_directory.h"

namespace smackd::cmd {

/// Names under which the values are sealed; the same in the replicated state.
inline constexpr std::string_view kCaKeySecret = "cluster/ca-key";
inline constexpr std::string_view kTokenKeySecret = "cluster/token-key";
inline constexpr std::string_view kRealmKeySecret = "realm/master-key";
inline constexpr std::string_view kRecoverySecret = "recovery/cluster-key";

/// What all servers of a cluster share.
struct ClusterSecrets {
    auth::SealKey cluster_key;
    auth::ClusterCa ca;
    auth::TokenKey token_key;
    std::optional<auth::MasterKey> master_key;  ///< embedded realm

    static core::Result<ClusterSecrets> make(std::string_view cluster_name, bool embedded_realm,
                                             core::WallTime now);
    /// The values sealed, for files and for the state.
    struct Sealed {
        std::string name;
        core::Bytes bytes;
    };
    core::Result<std::vector<Sealed>> seal() const;
};

core::Result<void> write_cluster_secrets(const DataDirectory& directory, const ClusterSecrets& secrets);
/// kCorrupt, kNotFound, ... name the file.
core::Result<ClusterSecrets> read_cluster_secrets(const DataDirectory& directory);

/// A TLS key of this node; made when absent.
core::Result<std::string> load_or_create_tls_key(const std::string& path);

/// The certificate a listener shows, with its key.
struct TlsIdentity {
    std::string key_pem;
    std::string certificate_pem;
    int64_t not_before_ms = 0;
    int64_t not_after_ms = 0;
};

/// The node's certificate for mutual TLS: the one on disk while it is good, else a new one.
core::Result<TlsIdentity> node_tls_identity(const DataDirectory& directory, const auth::ClusterCa& ca,
                                            const NodeIdentity& node, core::WallTime now);
/// A certificate for the API under these host names; addresses among them become IP names.
core::Result<TlsIdentity> api_tls_identity(const DataDirectory& directory, const auth::ClusterCa& ca,
                                           const std::vector<std::string>& host_names, core::WallTime now);

}  // namespace smackd::cmd
