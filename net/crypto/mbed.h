// mbedTLS as we use it: initialisation, owned contexts, errors. Private to net/crypto and net/tls.
#pragma once

#include <mbedtls/error.h>
#include <mbedtls/pk.h>
#include <mbedtls/x509_crt.h>
#include <mbedtls/x509_csr.h>

#include <expected>
#include <memory>
#include <string_view>

#include "core/bytes.h"
#include "core/result.h"

namespace smackd::net::crypto {

/// psa_crypto_init(), once; every entry to mbedTLS comes by here.
void initialise();

/// The random source given to mbedTLS: getrandom(2). Safe from any thread, nothing to lock.
int kernel_random(void*, unsigned char* out, size_t count);

using OwnedPk = std::unique_ptr<mbedtls_pk_context, void (*)(mbedtls_pk_context*)>;
OwnedPk make_pk();

using OwnedCrt = std::unique_ptr<mbedtls_x509_crt, void (*)(mbedtls_x509_crt*)>;
OwnedCrt make_crt();
/// One or more certificates; PEM or one DER.
core::Result<OwnedCrt> parse_chain(core::BytesView pem_or_der, std::string_view what);
core::Result<OwnedPk> parse_private_key(std::string_view pem);

/// "what: mbedTLS' words".
std::unexpected<core::Error> fail_mbed(core::Errc code, int status, std::string_view what);
std::string mbed_text(int status);

inline const unsigned char* raw(core::BytesView bytes) {
    return reinterpret_cast<const unsigned char*>(bytes.data());
}
inline unsigned char* raw(core::Bytes& bytes) {
    return reinterpret_cast<unsigned char*>(bytes.data());
}
inline core::BytesView view(const unsigned char* at, size_t size) {
    return core::BytesView(reinterpret_cast<const char*>(at), size);
}

}  // namespace smackd::net::crypto
