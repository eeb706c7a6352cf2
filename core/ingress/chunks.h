// The chunked coding (RFC 9112 section 7.1): finds where it ends, refuses what two readers might read
// differently.
#pragma once

#include <cstdint>

#include "core/bytes.h"

namespace smackd::core::ingress {

inline constexpr size_t kChunkLineBytesMax = 256;     ///< a chunk's size with extensions
inline constexpr size_t kTrailerBytesMax = 8 * 1024;  ///< of all trailer lines; they are dropped

class ChunkReader {
 public:
    enum class Part : uint8_t {
        kData,     ///< body bytes
        kFraming,  ///< sizes and line ends
        kDone,     ///< the body is complete; nothing of `bytes` was used
        kFailed,   ///< malformed
    };
    struct Step {
        Part part;
        size_t bytes;  ///< how many of the given bytes it is
    };

    /// What `bytes` (not empty, unless done) begin with. Call again with the rest.
    Step next(BytesView bytes);
    bool done() const { return state_ == State::kDone; }

 private:
    enum class State : uint8_t {
        kSize,
        kExtension,
        kSizeLf,
        kData,
        kDataCr,
        kDataLf,
        kTrailer,
        kTrailerLf,
        kDone,
        kFailed
    };
    bool take(char c);

    State state_ = State::kSize;
    uint64_t left_ = 0;
    size_t digits_ = 0;
    size_t line_ = 0;     // bytes of the size or trailer line in hand
    size_t trailer_ = 0;  // bytes of all trailer lines
};

}  // namespace smackd::core::ingress
