// SHA-256 (FIPS 180-4), HMAC (RFC 2104), HKDF (RFC 5869).
#pragma once

#include "core/bytes.h"
#include "core/result.h"

namespace smackd::net::crypto {

inline constexpr size_t kSha256Bytes = 32;

/// 32 bytes.
core::Bytes sha256(core::BytesView bytes);
/// 32 bytes.
core::Bytes hmac_sha256(core::BytesView key, core::BytesView bytes);
/// HKDF-SHA-256 of 1..8160 bytes.
core::Bytes hkdf_sha256(core::BytesView secret, core::BytesView salt, core::BytesView info, size_t length);

}  // namespace smackd::net::crypto
