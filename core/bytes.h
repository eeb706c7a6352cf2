// Bytes and their encodings: hex, base64 (RFC 4648), little-endian integers, CRC-32C.
//
// A byte string is a std::string: protobuf, SQLite and HTTP speak it, and views cost nothing.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/result.h"

namespace smackd::core {

using Bytes = std::string;
using BytesView = std::string_view;

std::string to_hex(BytesView bytes);
/// kInvalid on an odd length or a character outside [0-9a-fA-F].
Result<Bytes> from_hex(std::string_view text);

/// RFC 4648 section 4, with padding.
std::string to_base64(BytesView bytes);
/// Strict: kInvalid on white space, missing padding or non-zero trailing bits.
Result<Bytes> from_base64(std::string_view text);
/// RFC 4648 section 5, without padding (as JWS uses it, RFC 7515).
std::string to_base64url(BytesView bytes);
/// Strict: kInvalid on padding, foreign characters or non-zero trailing bits.
Result<Bytes> from_base64url(std::string_view text);

/// CRC-32C (Castagnoli) of `bytes`, continuing from `seed` (0 to start). Hardware where there is any.
uint32_t crc32c(BytesView bytes, uint32_t seed = 0);

/// Appends `value` little-endian.
void put_u32(Bytes& out, uint32_t value);
void put_u64(Bytes& out, uint64_t value);
/// Reads little-endian from exactly the first 4 or 8 bytes at `at`; the caller has checked the length.
uint32_t get_u32(const char* at);
uint64_t get_u64(const char* at);

/// True when both are equal; the time taken depends on the lengths only.
bool equal_constant_time(BytesView left, BytesView right);

}  // namespace smackd::core
