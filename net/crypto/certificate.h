// X.509 certificates (RFC 5280): making a CA, requests (PKCS #10, RFC 2986), issuing, reading, verifying.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.h"
#include "core/clock.h"
#include "core/result.h"
#include "net/crypto/key.h"

namespace smackd::net::crypto {

/// Subject alternative names.
struct AltNames {
    std::vector<std::string> dns;
    std::vector<std::string> uris;
    std::vector<std::string> ips;  ///< "10.0.0.1", "::1"
};

/// What a certificate says. Only what verify_certificate or a TLS handshake has checked is true.
struct Certificate {
    core::Bytes der;
    std::string pem;
    std::string common_name;  ///< empty when the subject has none
    std::string serial;       ///< lower-case hex
    AltNames names;
    core::WallTime not_before;
    core::WallTime not_after;
    bool is_ca = false;
    core::Bytes public_key_der;     ///< SubjectPublicKeyInfo
    core::Bytes public_key_sha256;  ///< of public_key_der
};

/// Reads one certificate, PEM or DER. kInvalid.
core::Result<Certificate> parse_certificate(core::BytesView pem_or_der);

/// Who may use a certificate for what.
enum class KeyUse : uint8_t { kServer, kClient, kServerAndClient };

struct CertificateRequest {
    std::string common_name;
    AltNames names;
    PublicKey key;
};

/// PKCS #10 in PEM, signed by `key`.
core::Result<std::string> make_request(const KeyPair& key, const std::string& common_name,
                                       const AltNames& names);
/// Reads a request and checks that it is signed by the key in it (mbedTLS does not). kInvalid, kCorrupt
/// (signature).
core::Result<CertificateRequest> parse_request(core::BytesView pem_or_der);

struct Issue {
    std::string common_name;
    AltNames names;
    KeyUse use = KeyUse::kServerAndClient;
    core::WallTime not_before;  ///< whole seconds count
    core::WallTime not_after;
    std::string serial;  ///< hex, at most 40 digits; empty: 16 random bytes
};

/// A self-signed CA certificate (pathlen 0) in PEM.
core::Result<std::string> make_ca(const KeyPair& key, const std::string& common_name,
                                  core::WallTime not_before, core::WallTime not_after);
/// A leaf for `subject_key`, signed by the CA, in PEM. Nothing is taken over from a request: the caller
/// decides.
core::Result<std::string> issue_certificate(const KeyPair& ca_key, std::string_view ca_pem,
                                            const PublicKey& subject_key, const Issue& issue);

/// Checks that a CA of `ca_pem` (one or more) signed `certificate` and that it is valid at `now`; both in
/// PEM. kDenied with the reason ("expired on ...", "not signed by this CA").
core::Result<void> verify_certificate(std::string_view certificate_pem, std::string_view ca_pem,
                                      core::WallTime now);

}  // namespace smackd::net::crypto
