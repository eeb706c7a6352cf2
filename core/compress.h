// zstd (RFC 8878) as a stream: bytes in and out in pieces, memory bounded on both sides.
#pragma once

#include <memory>

#include "core/bytes.h"
#include "core/callback.h"

namespace smackd::core {

/// The largest window a frame may ask of its reader; what the writer uses is below it.
inline constexpr int kCompressWindowLogMax = 23;
/// What comes out at once, at most.
inline constexpr size_t kCompressPieceBytes = 128 * 1024;

/// Takes a piece; an error ends the work and is returned.
using ByteSink = Callback<Result<void>(BytesView)>;

/// One frame.
class Compressor {
 public:
    /// `out` gets the compressed pieces.
    explicit Compressor(ByteSink out);
    ~Compressor();
    Compressor(const Compressor&) = delete;
    Compressor& operator=(const Compressor&) = delete;

    Result<void> write(BytesView plain);
    /// Ends the frame; nothing may be written after it.
    Result<void> finish();

 private:
    struct State;
    Result<void> run(BytesView plain, int directive);
    std::unique_ptr<State> state_;
    ByteSink out_;
};

/// Reads exactly one frame. However much a few bytes expand to, `out` sees it in pieces and may refuse.
class Decompressor {
 public:
    explicit Decompressor(ByteSink out);
    ~Decompressor();
    Decompressor(const Decompressor&) = delete;
    Decompressor& operator=(const Decompressor&) = delete;

    /// kCorrupt when it is no zstd, wants a larger window, or goes on behind the end of the frame.
    Result<void> write(BytesView compressed);
    /// kCorrupt when the frame has not ended.
    Result<void> finish();

 private:
    struct State;
    std::unique_ptr<State> state_;
    ByteSink out_;
    bool ended_ = false;
};

}  // namespace smackd::core
