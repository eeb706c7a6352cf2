#include "services/edge/fallback_certificate.h"

#include "net/crypto/certificate.h"
#include "net/crypto/key.h"

namespace smackd::edge {
namespace {

constexpr int64_t kDayMs = 24LL * 3600 * 1000;
constexpr int64_t kValidDays = 365;
constexpr const char* kName = "smackd ingress without a certificate";

}  // namespace

core::Result<FallbackCertificate> make_fallback_certificate(core::WallTime now) {
    const core::WallTime begin{now.unix_ms - kDayMs};  // clients' clocks differ
    const core::WallTime end{now.unix_ms + kValidDays * kDayMs};
    TRY_ASSIGN(const auto authority, net::crypto::KeyPair::generate());
    TRY_ASSIGN(const std::string authority_pem, net::crypto::make_ca(authority, kName, begin, end));
    TRY_ASSIGN(const auto key, net::crypto::KeyPair::generate());
    net::crypto::Issue issue;
    issue.common_name = kName;
    issue.names.dns = {"localhost"};
    issue.use = net::crypto::KeyUse::kServer;
    issue.not_before = begin;
    issue.not_after = end;
    TRY_ASSIGN(const std::string leaf,
               net::crypto::issue_certificate(authority, authority_pem, key.public_key(), issue));
    return FallbackCertificate{leaf + authority_pem, key.to_pem()};
}

}  // namespace smackd::edge
