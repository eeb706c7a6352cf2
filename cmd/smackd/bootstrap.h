// Making the data directories of a new cluster: keys, certificates, keytabs, the first voters and the first
// command.
//
// Nothing runs yet. At its first start each node writes the initial voters into its empty log, and whoever
// leads proposes the set-up command (cluster/setup.command), which expects a state without a cluster: it
// counts once.
#pragma once

#include <string>
#include <vector>

#include "cmd/smackd/config.h"
#include "cmd/smackd/data_directory.h"
#include "cmd/smackd/node_keys.h"

namespace smackd::cmd {

inline constexpr std::string_view kDefaultAdmin = "admin";

/// One node, or the first of several, of a new cluster.
struct BootstrapPlan {
    std::string directory;  ///< absolute path
    std::string node_name;  ///< empty: the host's name
    std::string cluster_name = "smackd";
    std::string realm;
    bool embedded_realm = false;
    std::string keytab;  ///< of a realm of the site: must hold HTTP/NODE
    std::string admin = std::string(kDefaultAdmin);
    std::string cluster_address = "127.0.0.1:5055";  ///< what the other voters dial
    std::vector<std::string> http_names;             ///< further names of the API: each gets HTTP/NAME
    std::vector<InitialVoter> further_voters;        ///< static clusters: node ids other than 1
};

/// What only the person who bootstraps sees.
struct Bootstrapped {
    std::string recovery_key;
    ClusterSecrets secrets;
    NodeIdentity identity;
    core::Bytes setup_command;
    auth::Keytab node_keytab;   ///< embedded realm: HTTP/, host/ and smack/ of the node
    auth::Keytab admin_keytab;  ///< embedded realm
};

/// Makes plan.directory; kConflict when it holds a node already. The node is there once node.json is: what an
/// interrupted run left is made anew.
core::Result<Bootstrapped> bootstrap(BootstrapPlan plan);

/// The data directory of a further voter of a static cluster, out of what the first one made.
core::Result<void> bootstrap_further_voter(const BootstrapPlan& first, const Bootstrapped& made,
                                           const InitialVoter& voter, const std::string& directory);

/// What to tell about the recovery key, once.
std::string recovery_notice(const Bootstrapped& made);

/// The host's name in lower case, or "localhost" when it is no machine name.
std::string host_name();

/// Where a node's own keytab is in its data directory (embedded realm).
/// The HTTP/ keys alone: what the API's door accepts tickets with.
std::string http_keytab_path(const DataDirectory& directory);
std::string node_keytab_path(const DataDirectory& directory);
std::string admin_keytab_path(const DataDirectory& directory);
/// The serialized set-up command of a new cluster.
std::string setup_command_path(const DataDirectory& directory);
/// krb5.conf for clients on this machine (embedded realm).
std::string client_krb5_conf_path(const DataDirectory& directory);

}  // namespace smackd::cmd
