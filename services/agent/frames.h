// Frames of the launcher and shim protocols: a 4-byte little-endian length, then a protobuf message.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/bytes.h"
#include "core/result.h"

namespace smackd::agent {

inline constexpr size_t kFrameBytesMax = 1 << 20;

core::Bytes frame(std::string_view message);

/// Cuts received bytes into messages.
class FrameBuffer {
 public:
    void append(std::string_view bytes) { bytes_.append(bytes); }
    /// The next whole message; nothing yet; kInvalid when a length is over kFrameBytesMax (the stream is of
    /// no use then).
    core::Result<std::optional<std::string>> next();
    /// What has come and is not taken.
    std::string_view rest() const { return std::string_view(bytes_).substr(begin_); }

 private:
    std::string bytes_;
    size_t begin_ = 0;
};

}  // namespace smackd::agent
