#include "auth/registry.h"

#include <algorithm>
#include <charconv>
#include <format>

#include "auth/cluster_ca.h"

namespace smackd::auth {

using core::Errc;
using core::Result;

Result<CertifiedNode> certified_node(const net::crypto::Certificate& certificate) {
    TRY_ASSIGN(NodeIdentity identity, node_identity_of(certificate));
    TRY_ASSIGN(const uint64_t generation, generation_of_certificate(certificate, identity.cluster_id));
    const bool server = std::ranges::contains(certificate.names.uris, server_uri(identity.cluster_id));
    return CertifiedNode{std::move(identity.cluster_id), identity.node, generation, server};
}

Result<AdmittedNode> admit(const Registry& registry, const net::crypto::Certificate& certificate) {
    TRY_ASSIGN(const CertifiedNode node, certified_node(certificate));
    return registry.admit(node);
}

std::string server_uri(std::string_view cluster_id) {
    return std::format("smack://{}/role/server", cluster_id);
}

std::string kdc_of_server(std::string_view cluster_address, uint16_t kdc_port) {
    return std::format("{}:{}", cluster_address.substr(0, cluster_address.rfind(':')), kdc_port);
}

std::string generation_uri(std::string_view cluster_id, uint64_t generation) {
    return std::format("smack://{}/generation/{}", cluster_id, generation);
}

Result<uint64_t> generation_of_certificate(const net::crypto::Certificate& certificate,
                                           std::string_view cluster_id) {
    const std::string prefix = std::format("smack://{}/generation/", cluster_id);
    uint64_t generation = 0;
    bool found = false;
    for (const std::string& uri : certificate.names.uris) {
        if (!uri.starts_with(prefix)) continue;
        const char* end = uri.data() + uri.size();
        const auto [stop, error] = std::from_chars(uri.data() + prefix.size(), end, generation);
        if (found || error != std::errc() || stop != end || generation_uri(cluster_id, generation) != uri)
            return core::fail(Errc::kDenied, "the certificate's name '{}' is not one generation", uri);
        found = true;
    }
    return generation;
}

}  // namespace smackd::auth
