#include "net/crypto/gcm_key.h"

#include <mbedtls/gcm.h>

#include "core/assert.h"
#include "net/crypto/aead.h"
#include "net/crypto/mbed.h"

namespace smackd::net::crypto {

struct GcmKey::Context {
    mbedtls_gcm_context gcm{};
    Context() { mbedtls_gcm_init(&gcm); }
    ~Context() { mbedtls_gcm_free(&gcm); }
    Context(const Context&) = delete;
    Context& operator=(const Context&) = delete;
};

GcmKey::GcmKey(core::BytesView key) : context_(std::make_unique<Context>()) {
    SMACK_ASSERT(key.size() == kAeadKeyBytes);
    const int status = mbedtls_gcm_setkey(&context_->gcm, MBEDTLS_CIPHER_ID_AES, raw(key), kAeadKeyBytes * 8);
    SMACK_ASSERT(status == 0);
}
GcmKey::GcmKey(GcmKey&&) noexcept = default;
GcmKey& GcmKey::operator=(GcmKey&&) noexcept = default;
GcmKey::~GcmKey() = default;

core::Bytes GcmKey::seal(core::BytesView nonce, core::BytesView plaintext, core::BytesView associated) {
    SMACK_ASSERT(nonce.size() == kGcmNonceBytes);
    core::Bytes out(plaintext.size() + kGcmTagBytes, '\0');
    const int status = mbedtls_gcm_crypt_and_tag(
        &context_->gcm, MBEDTLS_GCM_ENCRYPT, plaintext.size(), raw(nonce), nonce.size(), raw(associated),
        associated.size(), raw(plaintext), raw(out), kGcmTagBytes, raw(out) + plaintext.size());
    SMACK_ASSERT(status == 0);
    return out;
}

core::Result<core::Bytes> GcmKey::open(core::BytesView nonce, core::BytesView sealed,
                                       core::BytesView associated) {
    SMACK_ASSERT(nonce.size() == kGcmNonceBytes);
    if (sealed.size() < kGcmTagBytes) {
        return core::fail(core::Errc::kCorrupt, "sealed bytes are shorter than {}", kGcmTagBytes);
    }
    const size_t size = sealed.size() - kGcmTagBytes;
    core::Bytes out(size, '\0');
    const int status =
        mbedtls_gcm_auth_decrypt(&context_->gcm, size, raw(nonce), nonce.size(), raw(associated),
                                 associated.size(), raw(sealed) + size, kGcmTagBytes, raw(sealed), raw(out));
    if (status != 0)
        return core::fail(core::Errc::kCorrupt, "sealed bytes fail their check: wrong key or damaged");
    return out;
}

}  // namespace smackd::net::crypto
