// Names in certificates: common names and alternative names, to and from mbedTLS. Private to net/crypto and
// net/tls.
#pragma once

#include <list>

#include "net/crypto/certificate.h"
#include "net/crypto/mbed.h"

namespace smackd::net::crypto {

inline constexpr size_t kCommonNameBytesMax = 64;  ///< ub-common-name, RFC 5280 appendix A
inline constexpr size_t kAltNamesMax = 64;

/// The first CN, or empty.
std::string common_name_of(const mbedtls_x509_name& subject);
core::Result<AltNames> read_alt_names(const mbedtls_x509_sequence& sequence);
/// What a certificate says, from a parsed one.
core::Result<Certificate> read_certificate(const mbedtls_x509_crt& from);
/// A sentence for the first reason in the flags of a failed verification.
std::string describe_verify_flags(uint32_t flags, const mbedtls_x509_crt* certificate);

/// "CN=..." as mbedTLS parses it; kInvalid unless 1..64 of [A-Za-z0-9 ._:/@-] (no character that a DN
/// escapes).
core::Result<std::string> subject_of(std::string_view common_name);

/// mbedTLS' linked list of names; it points into itself and into the AltNames, which outlives it.
class SanList {
 public:
    /// kInvalid names the entry.
    static core::Result<SanList> make(const AltNames& names);
    const mbedtls_x509_san_list* get() const { return nodes_.empty() ? nullptr : &nodes_.front(); }

 private:
    void add(int type, core::BytesView value);
    std::list<mbedtls_x509_san_list> nodes_;
    std::list<core::Bytes> addresses_;
};

}  // namespace smackd::net::crypto
