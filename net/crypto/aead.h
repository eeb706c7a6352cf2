// AES-256-GCM (NIST SP 800-38D): sealing of keys and secrets at rest with a random nonce, of long streams
// with a counted one.
#pragma once

#include <memory>

#include "core/bytes.h"
#include "core/result.h"

namespace smackd::net::crypto {

inline constexpr size_t kAeadKeyBytes = 32;
inline constexpr size_t kAeadNonceBytes = 12;
inline constexpr size_t kAeadTagBytes = 16;
inline constexpr size_t kAeadOverheadBytes =
    kAeadNonceBytes + kAeadTagBytes;  ///< nonce before, tag after the ciphertext

/// nonce || ciphertext || tag. `key` has kAeadKeyBytes; `associated` is authenticated, not stored. A key must
/// not seal more than 2^32 times (random nonces).
core::Bytes seal(core::BytesView key, core::BytesView plaintext, core::BytesView associated);
/// kCorrupt when the key, the associated bytes or any bit differ.
core::Result<core::Bytes> open(core::BytesView key, core::BytesView sealed, core::BytesView associated);

/// A key, expanded once, for many pieces whose nonces the caller counts. No nonce may be used twice with one
/// key, by anybody: that reveals both texts and lets others forge. Not safe to share between threads.
class AeadKey {
 public:
    /// `key` has kAeadKeyBytes.
    explicit AeadKey(core::BytesView key);
    AeadKey(AeadKey&&) noexcept;
    AeadKey& operator=(AeadKey&&) noexcept;
    ~AeadKey();

    /// ciphertext || tag. `nonce` has kAeadNonceBytes.
    core::Bytes seal(core::BytesView nonce, core::BytesView plaintext, core::BytesView associated);
    /// kCorrupt when the key, the nonce, the associated bytes or any bit differ.
    core::Result<core::Bytes> open(core::BytesView nonce, core::BytesView sealed, core::BytesView associated);

 private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace smackd::net::crypto
