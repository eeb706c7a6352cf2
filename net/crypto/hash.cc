#include "net/crypto/hash.h"

#include <mbedtls/hkdf.h>
#include <mbedtls/md.h>
#include <mbedtls/sha256.h>

#include "core/assert.h"
#include "net/crypto/mbed.h"

namespace smackd::net::crypto {

namespace {

const mbedtls_md_info_t* sha256_info() {
    return mbedtls_md_info_from_type(MBEDTLS_MD_SHA256);
}

}  // namespace

core::Bytes sha256(core::BytesView bytes) {
    core::Bytes digest(kSha256Bytes, '\0');
    SMACK_ASSERT(mbedtls_sha256(raw(bytes), bytes.size(), raw(digest), 0) == 0);
    return digest;
}

core::Bytes hmac_sha256(core::BytesView key, core::BytesView bytes) {
    core::Bytes digest(kSha256Bytes, '\0');
    int status = mbedtls_md_hmac(sha256_info(), raw(key), key.size(), raw(bytes), bytes.size(), raw(digest));
    SMACK_ASSERT(status == 0);
    return digest;
}

core::Bytes hkdf_sha256(core::BytesView secret, core::BytesView salt, core::BytesView info, size_t length) {
    SMACK_ASSERT(length > 0 && length <= 255 * kSha256Bytes);
    core::Bytes out(length, '\0');
    int status = mbedtls_hkdf(sha256_info(), raw(salt), salt.size(), raw(secret), secret.size(), raw(info),
                              info.size(), raw(out), length);
    SMACK_ASSERT(status == 0);
    return out;
}

}  // namespace smackd::net::crypto
