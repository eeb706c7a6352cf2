// One AES-256-GCM key (NIST SP 800-38D), expanded once, for many small packets whose nonces the caller
// counts.
#pragma once

#include <memory>

#include "core/bytes.h"
#include "core/result.h"

namespace smackd::net::crypto {

inline constexpr size_t kGcmNonceBytes = 12;
inline constexpr size_t kGcmTagBytes = 16;

/// Not safe to share between threads.
class GcmKey {
 public:
    /// `key` has kAeadKeyBytes.
    explicit GcmKey(core::BytesView key);
    GcmKey(GcmKey&&) noexcept;
    GcmKey& operator=(GcmKey&&) noexcept;
    ~GcmKey();

    /// ciphertext || tag. A nonce must not be used twice with one key, by anybody: that reveals both texts
    /// and lets others forge.
    core::Bytes seal(core::BytesView nonce, core::BytesView plaintext, core::BytesView associated);
    /// kCorrupt when the key, the nonce, the associated bytes or any bit differ.
    core::Result<core::Bytes> open(core::BytesView nonce, core::BytesView sealed, core::BytesView associated);

 private:
    struct Context;
    std::unique_ptr<Context> context_;
};

}  // namespace smackd::net::crypto
