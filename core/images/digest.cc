#include "core/images/digest.h"

#include <algorithm>

#include "core/assert.h"

namespace smackd::core::images {

namespace {

constexpr size_t kHexDigits = 64;
constexpr size_t kRawBytes = 32;

bool is_lower_hex(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

}  // namespace

Result<Digest> Digest::parse(std::string_view text) {
    constexpr std::string_view kPrefix = "sha256:";
    if (!text.starts_with(kPrefix)) {
        const bool other = text.starts_with("sha512:") || text.starts_with("blake3:");
        return fail(other ? Errc::kUnsupported : Errc::kInvalid,
                    "digest: must begin with 'sha256:' and have 64 hex digits");
    }
    const std::string_view hex = text.substr(kPrefix.size());
    if (hex.size() != kHexDigits || !std::ranges::all_of(hex, is_lower_hex)) {
        return fail(Errc::kInvalid, "digest: 'sha256:' must be followed by 64 lower-case hex digits");
    }
    return Digest(std::string(hex));
}

Digest Digest::of_sha256(BytesView raw) {
    SMACK_ASSERT(raw.size() == kRawBytes);
    return Digest(to_hex(raw));
}

}  // namespace smackd::core::images
