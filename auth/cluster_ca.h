// The cluster's certificate authority (ECDSA P-256): node certificates for mTLS, server certificates for the
// API.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "core/ids.h"
#include "core/result.h"
#include "net/crypto/certificate.h"

namespace smackd::auth {

inline constexpr int64_t kNodeCertificateLifeMs = 24 * 3600 * 1000LL;
inline constexpr int64_t kCertificateBackdateMs = 5 * 60 * 1000LL;
inline constexpr int64_t kCaLifeMs = 10LL * 365 * 24 * 3600 * 1000;

struct IssuedCertificate {
    std::string pem;
    std::string serial;  ///< hex
    int64_t not_before_ms = 0;
    int64_t not_after_ms = 0;
};

struct NodeCertificateRequest {
    core::NodeId node{};
    std::string machine{};           ///< host name: SAN DNS
    std::string public_key_pem{};    ///< of the node's own key; the CA never sees the private half
    std::vector<std::string> dns{};  ///< further SAN DNS names
    std::vector<std::string> ip{};   ///< SAN IP addresses
    uint64_t generation = 0;         ///< of the machine (auth/registry.h); above 0 it is a SAN URI
    bool server = false;             ///< the node's role; a server's is a SAN URI
    std::string serial{};            ///< hex; empty: drawn here
};

class ClusterCa {
 public:
    /// A new CA named `cluster_name`, valid from `now` - 5 min for ten years.
    static core::Result<ClusterCa> create(std::string_view cluster_name, core::WallTime now);
    /// kInvalid when key and certificate do not belong together.
    static core::Result<ClusterCa> load(std::string key_pem, std::string certificate_pem);

    /// Hex SHA-256 of the CA's public key (DER SubjectPublicKeyInfo).
    const std::string& cluster_id() const { return cluster_id_; }
    const std::string& certificate_pem() const { return certificate_pem_; }
    /// Secret: to be sealed.
    const std::string& key_pem() const { return key_pem_; }

    /// 24 hours, client and server use, SAN DNS and URI smack://<cluster id>/node/<id>.
    core::Result<IssuedCertificate> issue_node(const NodeCertificateRequest& request,
                                               core::WallTime now) const;
    /// 24 hours, server use, for the API's TLS door.
    core::Result<IssuedCertificate> issue_server(const std::string& public_key_pem,
                                                 const std::vector<std::string>& dns,
                                                 const std::vector<std::string>& ip,
                                                 core::WallTime now) const;

 private:
    ClusterCa(std::string key_pem, std::string certificate_pem, std::string cluster_id);
    std::string key_pem_;
    std::string certificate_pem_;
    std::string cluster_id_;
};

/// Hex SHA-256 of the public key of a CA certificate.
core::Result<std::string> cluster_id_of(const std::string& ca_certificate_pem);

/// What the URI of a node certificate says.
struct NodeIdentity {
    std::string cluster_id;
    core::NodeId node;

    std::string to_uri() const;
    /// Strict; kInvalid names the rule.
    static core::Result<NodeIdentity> parse(std::string_view uri);
    bool operator==(const NodeIdentity&) const = default;
};

/// Of a certificate that a node shows; kDenied when it names none, or several.
core::Result<NodeIdentity> node_identity_of(const net::crypto::Certificate& certificate);

/// Pure: what to do about a certificate now.
struct RenewalDecision {
    enum class Action : uint8_t { kNone, kRenew, kExpired };
    Action action = Action::kNone;
    int64_t check_again_ms = 0;  ///< from now
};
/// Renew from half of the life on; spread by `jitter` in [0, 1000] permille of a tenth of the life.
RenewalDecision decide_renewal(int64_t not_before_ms, int64_t not_after_ms, core::WallTime now,
                               uint32_t jitter_permille);

}  // namespace smackd::auth
