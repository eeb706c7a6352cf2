#include "net/crypto/aead.h"

#include <mbedtls/gcm.h>

#include "core/assert.h"
#include "net/crypto/mbed.h"
#include "net/crypto/random.h"

namespace smackd::net::crypto {

namespace {

constexpr size_t kNonceBytes = kAeadNonceBytes;
constexpr size_t kTagBytes = kAeadTagBytes;

class Gcm {
 public:
    explicit Gcm(core::BytesView key) {
        SMACK_ASSERT(key.size() == kAeadKeyBytes);
        mbedtls_gcm_init(&context_);
        int status = mbedtls_gcm_setkey(&context_, MBEDTLS_CIPHER_ID_AES, raw(key), kAeadKeyBytes * 8);
        SMACK_ASSERT(status == 0);
    }
    ~Gcm() { mbedtls_gcm_free(&context_); }
    Gcm(const Gcm&) = delete;
    Gcm& operator=(const Gcm&) = delete;
    mbedtls_gcm_context* get() { return &context_; }

 private:
    mbedtls_gcm_context context_{};
};

}  // namespace

core::Bytes seal(core::BytesView key, core::BytesView plaintext, core::BytesView associated) {
    Gcm gcm(key);
    core::Bytes out = random_bytes(kNonceBytes);
    out.resize(kNonceBytes + plaintext.size() + kTagBytes);
    unsigned char* nonce = raw(out);
    int status =
        mbedtls_gcm_crypt_and_tag(gcm.get(), MBEDTLS_GCM_ENCRYPT, plaintext.size(), nonce, kNonceBytes,
                                  raw(associated), associated.size(), raw(plaintext), nonce + kNonceBytes,
                                  kTagBytes, nonce + kNonceBytes + plaintext.size());
    SMACK_ASSERT(status == 0);
    return out;
}

core::Result<core::Bytes> open(core::BytesView key, core::BytesView sealed, core::BytesView associated) {
    if (sealed.size() < kAeadOverheadBytes) {
        return core::fail(core::Errc::kCorrupt, "sealed bytes are shorter than {}", kAeadOverheadBytes);
    }
    Gcm gcm(key);
    size_t size = sealed.size() - kAeadOverheadBytes;
    core::Bytes out(size, '\0');
    const unsigned char* nonce = raw(sealed);
    int status =
        mbedtls_gcm_auth_decrypt(gcm.get(), size, nonce, kNonceBytes, raw(associated), associated.size(),
                                 nonce + kNonceBytes + size, kTagBytes, nonce + kNonceBytes, raw(out));
    if (status != 0)
        return core::fail(core::Errc::kCorrupt, "sealed bytes fail their check: wrong key or damaged");
    return out;
}

struct AeadKey::State {
    explicit State(core::BytesView key) : gcm(key) {}
    Gcm gcm;
};

AeadKey::AeadKey(core::BytesView key) : state_(std::make_unique<State>(key)) {}
AeadKey::AeadKey(AeadKey&&) noexcept = default;
AeadKey& AeadKey::operator=(AeadKey&&) noexcept = default;
AeadKey::~AeadKey() = default;

core::Bytes AeadKey::seal(core::BytesView nonce, core::BytesView plaintext, core::BytesView associated) {
    SMACK_ASSERT(nonce.size() == kNonceBytes);
    core::Bytes out(plaintext.size() + kTagBytes, '\0');
    unsigned char* bytes = raw(out);
    const int status = mbedtls_gcm_crypt_and_tag(state_->gcm.get(), MBEDTLS_GCM_ENCRYPT, plaintext.size(),
                                                 raw(nonce), nonce.size(), raw(associated), associated.size(),
                                                 raw(plaintext), bytes, kTagBytes, bytes + plaintext.size());
    SMACK_ASSERT(status == 0);
    return out;
}

core::Result<core::Bytes> AeadKey::open(core::BytesView nonce, core::BytesView sealed,
                                        core::BytesView associated) {
    SMACK_ASSERT(nonce.size() == kNonceBytes);
    if (sealed.size() < kTagBytes)
        return core::fail(core::Errc::kCorrupt, "sealed bytes are shorter than {}", kTagBytes);
    const size_t size = sealed.size() - kTagBytes;
    core::Bytes out(size, '\0');
    const unsigned char* bytes = raw(sealed);
    const int status =
        mbedtls_gcm_auth_decrypt(state_->gcm.get(), size, raw(nonce), nonce.size(), raw(associated),
                                 associated.size(), bytes + size, kTagBytes, bytes, raw(out));
    if (status != 0)
        return core::fail(core::Errc::kCorrupt, "sealed bytes fail their check: wrong key or damaged");
    return out;
}

}  // namespace smackd::net::crypto
