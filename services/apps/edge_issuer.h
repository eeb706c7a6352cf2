// Certificates by the cluster's CA for what a node's edge serves. The private key never leaves the node.
//
// They prove host names to browsers that trust the CA, and nothing else: they have no URI of a node, and are
// given for virtual hosts of the state only, never for a machine's name but the asking one's own.
#pragma once

#include <set>
#include <string>

#include "auth/cluster_ca.h"
#include "core/wire/edge.pb.h"
#include "net/loop.h"
#include "net/task.h"
#include "net/worker_pool.h"
#include "storage/state/reader.h"

namespace smackd::services {

/// Of one request.
inline constexpr int kEdgeNamesMax = 64;

/// What every edge answers to for the load balancer's groups, as marathon-lb's users know them.
inline constexpr const char* kInternalGroupName = "marathon-lb-internal.marathon.mesos";
inline constexpr const char* kExternalGroupName = "marathon-lb.marathon.mesos";

/// On the server that answers.
struct EdgeIssuer {
    const auth::ClusterCa& ca;
    storage::state::ReaderOptions reader;
    std::set<std::string> api_hosts;  ///< under which the API is reached: never given
};

/// For the edge of `machine`. kInvalid names the field; names that the state does not have, or that are a
/// machine's or the API's, are left out.
core::Result<wire::EdgeIssuedCertificates> issue_edge_certificates(
    const EdgeIssuer& issuer, const wire::EdgeCertificateRequest& request, const std::string& machine,
    core::WallTime now);

}  // namespace smackd::services
