#include "auth/cluster_ca.h"

#include <algorithm>
#include <charconv>
#include <format>

#include "auth/registry.h"
#include "net/crypto/certificate.h"
#include "net/crypto/key.h"

namespace smackd::auth {
namespace {

namespace crypto = net::crypto;
using core::Errc;
using core::fail;
using core::Result;
using core::WallTime;

constexpr std::string_view kUriScheme = "smack://";
constexpr std::string_view kNodePart = "/node/";

// Decimal without sign or leading zeros, so that one identity has one text.
Result<uint64_t> parse_number(std::string_view field, std::string_view digits) {
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(digits.begin(), digits.end(), value);
    const bool canonical = digits == "0" || !digits.starts_with('0');
    if (digits.empty() || !canonical || error != std::errc() || end != digits.end()) {
        return fail(Errc::kInvalid, "node URI: {} is not a plain decimal number", field);
    }
    return value;
}

Result<IssuedCertificate> issued(Result<std::string> pem) {
    if (!pem) return core::pass(std::move(pem), "certificate");
    TRY_ASSIGN(const crypto::Certificate read, crypto::parse_certificate(*pem));
    return IssuedCertificate{std::move(*pem), read.serial, read.not_before.unix_ms, read.not_after.unix_ms};
}

Result<IssuedCertificate> issue(const ClusterCa& ca, const std::string& public_key_pem, crypto::Issue what,
                                WallTime now) {
    TRY_ASSIGN(const crypto::PublicKey subject, crypto::PublicKey::from_pem(public_key_pem));
    TRY_ASSIGN(const crypto::KeyPair signer, crypto::KeyPair::from_pem(ca.key_pem()));
    what.not_before = WallTime{now.unix_ms - kCertificateBackdateMs};
    what.not_after = WallTime{now.unix_ms + kNodeCertificateLifeMs};
    return issued(crypto::issue_certificate(signer, ca.certificate_pem(), subject, what));
}

}  // namespace

ClusterCa::ClusterCa(std::string key_pem, std::string certificate_pem, std::string cluster_id)
    : key_pem_(std::move(key_pem)),
      certificate_pem_(std::move(certificate_pem)),
      cluster_id_(std::move(cluster_id)) {}

Result<ClusterCa> ClusterCa::create(std::string_view cluster_name, WallTime now) {
    TRY_ASSIGN(const crypto::KeyPair key, crypto::KeyPair::generate());
    TRY_ASSIGN(std::string certificate,
               crypto::make_ca(key, std::string(cluster_name), WallTime{now.unix_ms - kCertificateBackdateMs},
                               WallTime{now.unix_ms + kCaLifeMs}));
    return load(key.to_pem(), std::move(certificate));
}

Result<ClusterCa> ClusterCa::load(std::string key_pem, std::string certificate_pem) {
    TRY_ASSIGN(const crypto::KeyPair key, crypto::KeyPair::from_pem(key_pem));
    TRY_ASSIGN(const crypto::Certificate certificate, crypto::parse_certificate(certificate_pem));
    if (!certificate.is_ca) return fail(Errc::kInvalid, "cluster CA: the certificate is not one of a CA");
    if (key.public_key().sha256() != certificate.public_key_sha256) {
        return fail(Errc::kInvalid, "cluster CA: key and certificate do not belong together");
    }
    return ClusterCa(std::move(key_pem), std::move(certificate_pem),
                     core::to_hex(certificate.public_key_sha256));
}

Result<IssuedCertificate> ClusterCa::issue_node(const NodeCertificateRequest& request, WallTime now) const {
    if (request.node.value == 0) return fail(Errc::kInvalid, "certificate: a node needs an id above 0");
    crypto::Issue what;
    what.common_name = request.machine;
    what.names.dns = request.dns;
    what.names.dns.insert(what.names.dns.begin(), request.machine);
    what.names.ips = request.ip;
    what.names.uris = {NodeIdentity{cluster_id_, request.node}.to_uri()};
    if (request.generation != 0) what.names.uris.push_back(generation_uri(cluster_id_, request.generation));
    if (request.server) what.names.uris.push_back(server_uri(cluster_id_));
    what.serial = request.serial;
    what.use = crypto::KeyUse::kServerAndClient;
    return issue(*this, request.public_key_pem, std::move(what), now);
}

Result<IssuedCertificate> ClusterCa::issue_server(const std::string& public_key_pem,
                                                  const std::vector<std::string>& dns,
                                                  const std::vector<std::string>& ip, WallTime now) const {
    if (dns.empty() && ip.empty())
        return fail(Errc::kInvalid, "certificate: a server needs a name or an address");
    crypto::Issue what;
    what.common_name = dns.empty() ? ip.front() : dns.front();
    what.names.dns = dns;
    what.names.ips = ip;
    what.use = crypto::KeyUse::kServer;
    return issue(*this, public_key_pem, std::move(what), now);
}

Result<std::string> cluster_id_of(const std::string& ca_certificate_pem) {
    TRY_ASSIGN(const crypto::Certificate certificate, crypto::parse_certificate(ca_certificate_pem));
    return core::to_hex(certificate.public_key_sha256);
}

std::string NodeIdentity::to_uri() const {
    return std::format("{}{}{}{}", kUriScheme, cluster_id, kNodePart, node.value);
}

Result<NodeIdentity> NodeIdentity::parse(std::string_view uri) {
    constexpr size_t kIdLength = 64;
    if (!uri.starts_with(kUriScheme))
        return fail(Errc::kInvalid, "node URI: does not begin with {}", kUriScheme);
    uri.remove_prefix(kUriScheme.size());
    NodeIdentity identity;
    identity.cluster_id = uri.substr(0, kIdLength);
    const auto is_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
    if (identity.cluster_id.size() != kIdLength || !std::ranges::all_of(identity.cluster_id, is_hex)) {
        return fail(Errc::kInvalid, "node URI: the cluster id is not 64 lower-case hex digits");
    }
    uri.remove_prefix(kIdLength);
    if (!uri.starts_with(kNodePart))
        return fail(Errc::kInvalid, "node URI: not of the form smack://CLUSTER/node/ID");
    TRY_ASSIGN(identity.node.value, parse_number("node id", uri.substr(kNodePart.size())));
    if (identity.node.value == 0) return fail(Errc::kInvalid, "node URI: the node id is 0");
    return identity;
}

Result<NodeIdentity> node_identity_of(const crypto::Certificate& certificate) {
    std::optional<NodeIdentity> found;
    for (const std::string& uri : certificate.names.uris) {
        if (!uri.starts_with(kUriScheme) || !uri.contains(kNodePart)) continue;
        auto identity = NodeIdentity::parse(uri);
        if (!identity || found)
            return fail(Errc::kDenied, "the certificate's name '{}' is not one node", uri);
        found = std::move(*identity);
    }
    if (!found) return fail(Errc::kDenied, "the certificate names no node");
    return *found;
}

RenewalDecision decide_renewal(int64_t not_before_ms, int64_t not_after_ms, WallTime now,
                               uint32_t jitter_permille) {
    if (now.unix_ms >= not_after_ms) return {RenewalDecision::Action::kExpired, 0};
    // A clock that was ahead has made it, and was set right: waiting for its day could be a long outage.
    if (now.unix_ms < not_before_ms) return {RenewalDecision::Action::kRenew, 0};
    const int64_t life = std::max<int64_t>(not_after_ms - not_before_ms, 0);
    const int64_t spread = life / 10 * static_cast<int64_t>(std::min<uint32_t>(jitter_permille, 1000)) / 1000;
    const int64_t due = not_before_ms + life / 2 + spread;
    if (now.unix_ms >= due) return {RenewalDecision::Action::kRenew, 0};
    return {RenewalDecision::Action::kNone, due - now.unix_ms};
}

}  // namespace smackd::auth
