// Digest: the SHA-256 by which content is named (OCI image-spec, descriptor.md).
#pragma once

#include <compare>
#include <string>
#include <string_view>

#include "core/bytes.h"

namespace smackd::core::images {

/// "sha256:" and 64 lower-case hex digits, checked: it may become part of a path. Values compare by digits.
class Digest {
 public:
    /// kInvalid names the rule; kUnsupported for a well-formed digest of another algorithm.
    static Result<Digest> parse(std::string_view text);
    /// Of the 32 bytes of a SHA-256.
    static Digest of_sha256(BytesView raw);

    const std::string& hex() const { return hex_; }
    std::string to_string() const { return "sha256:" + hex_; }
    auto operator<=>(const Digest&) const = default;

 private:
    explicit Digest(std::string hex) : hex_(std::move(hex)) {}
    std::string hex_;
};

}  // namespace smackd::core::images
