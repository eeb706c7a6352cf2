#include "net/tls/session.h"

#include <mbedtls/md.h>

#include "net/crypto/hash.h"
#include "net/crypto/mbed.h"

namespace smackd::net {

namespace {

/// RFC 5929 section 4.1: the hash of the certificate's signature, but SHA-256 for MD5 and SHA-1.
core::Bytes end_point_hash(core::BytesView der) {
    auto certificate = crypto::parse_chain(der, "certificate");
    mbedtls_md_type_t kind = certificate ? (*certificate)->MBEDTLS_PRIVATE(sig_md) : MBEDTLS_MD_SHA256;
    const mbedtls_md_info_t* info = mbedtls_md_info_from_type(kind);
    if (info == nullptr || mbedtls_md_get_size(info) < crypto::kSha256Bytes) return crypto::sha256(der);
    core::Bytes digest(mbedtls_md_get_size(info), '\0');
    SMACK_ASSERT(mbedtls_md(info, crypto::raw(der), der.size(), crypto::raw(digest)) == 0);
    return digest;
}

}  // namespace

core::Result<core::Bytes> TlsSession::exporter_binding() const {
    TRY_ASSIGN(core::Bytes key, exporter("EXPORTER-Channel-Binding", "", 32));
    return "tls-exporter:" + key;
}

core::Bytes TlsSession::end_point_binding() const {
    return "tls-server-end-point:" + end_point_hash(server_certificate_der());
}

}  // namespace smackd::net
