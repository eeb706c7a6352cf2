#include "net/crypto/sha256.h"

#include <mbedtls/sha256.h>

#include "core/assert.h"
#include "net/crypto/hash.h"
#include "net/crypto/mbed.h"

namespace smackd::net::crypto {

struct Sha256::State {
    mbedtls_sha256_context context{};
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
    mbedtls_sha256_init(&state_->context);
    SMACK_ASSERT(mbedtls_sha256_starts(&state_->context, 0) == 0);
}

Sha256::~Sha256() {
    mbedtls_sha256_free(&state_->context);
}

void Sha256::update(core::BytesView bytes) {
    SMACK_ASSERT(mbedtls_sha256_update(&state_->context, raw(bytes), bytes.size()) == 0);
}

core::Bytes Sha256::finish() {
    core::Bytes digest(kSha256Bytes, '\0');
    SMACK_ASSERT(mbedtls_sha256_finish(&state_->context, raw(digest)) == 0);
    return digest;
}

std::unique_ptr<core::Hasher> new_sha256() {
    return std::make_unique<Sha256>();
}

}  // namespace smackd::net::crypto
