// AES-256-GCM (NIST SP 800-38D) with a random nonce: sealing of keys and secrets at rest.
#pragma once

#include "core/bytes.h"
#include "core/result.h"

namespace smackd::net::crypto {

inline constexpr size_t kAeadKeyBytes = 32;
inline constexpr size_t kAeadOverheadBytes = 12 + 16;  ///< nonce before, tag after the ciphertext

/// nonce || ciphertext || tag. `key` has kAeadKeyBytes; `associated` is authenticated, not stored. A key must
/// not seal more than 2^32 times (random nonces).
core::Bytes seal(core::BytesView key, core::BytesView plaintext, core::BytesView associated);
/// kCorrupt when the key, the associated bytes or any bit differ.
core::Result<core::Bytes> open(core::BytesView key, core::BytesView sealed, core::BytesView associated);

}  // namespace smackd::net::crypto
