// What a node's certificate says, for the registry (core/cluster/registry.h).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/cluster/registry.h"
#include "core/result.h"
#include "net/crypto/certificate.h"

namespace smackd::auth {

using core::cluster::AdmittedNode;
using core::cluster::CertifiedNode;
using core::cluster::is_not_known_yet;
using core::cluster::is_removal;
using core::cluster::Registry;

/// kDenied when it is no node's certificate. Who signed it is the TLS session's matter.
core::Result<CertifiedNode> certified_node(const net::crypto::Certificate& certificate);
/// kDenied with the reason when the registry refuses the node of this certificate.
core::Result<AdmittedNode> admit(const Registry& registry, const net::crypto::Certificate& certificate);

/// The URI of a server's certificate: smack://CLUSTER/role/server. Agents' have none, nor had those that
/// earlier versions made.
std::string server_uri(std::string_view cluster_id);
/// Where the embedded realm's KDC of a server answers: at the host of its cluster address HOST:PORT, on the
/// port that all servers have in common.
std::string kdc_of_server(std::string_view cluster_address, uint16_t kdc_port);

/// The URI by which a certificate names the generation of its machine: smack://CLUSTER/generation/N.
std::string generation_uri(std::string_view cluster_id, uint64_t generation);
/// 0 for a certificate without one (made by a bootstrap); kDenied for one that is malformed.
core::Result<uint64_t> generation_of_certificate(const net::crypto::Certificate& certificate,
                                                 std::string_view cluster_id);

}  // namespace smackd::auth
