// Expander: gzip (RFC 1952), zstd (RFC 8878) or neither, told apart by the first bytes; and raw deflate.
#pragma once

#include <memory>

#include "core/bytes.h"
#include "core/compress.h"
#include "core/units.h"

namespace smackd::core {

/// The largest window a zstd frame may ask for: 128 MiB, as `zstd --long` and other readers have it.
inline constexpr int kExpandWindowLogMax = 27;

/// Compressed bytes in, plain ones out, in pieces of at most kCompressPieceBytes. Several gzip members or
/// zstd frames in a row are one stream; zero bytes behind the last gzip member are filling.
class Expander {
 public:
    enum class Format : uint8_t {
        kDetect,   ///< by the first bytes; what is neither gzip nor zstd is passed on as it is
        kDeflate,  ///< one raw deflate stream (RFC 1951), as members of a zip are
    };
    /// kCorrupt when more than `bytes_max` come out.
    Expander(Format format, uint64_t bytes_max, ByteSink out);
    ~Expander();
    Expander(const Expander&) = delete;
    Expander& operator=(const Expander&) = delete;

    /// kCorrupt with the library's words.
    Result<void> write(BytesView compressed);
    /// kCorrupt when the stream is cut short.
    Result<void> finish();
    uint64_t bytes_out() const { return bytes_out_; }

 private:
    struct Inflate;
    struct Unzstd;
    enum class Kind : uint8_t { kUnknown, kPlain, kInflate, kZstd };

    Result<void> choose();
    Result<void> pass_on(BytesView bytes);
    Result<void> emit(BytesView plain);
    Result<void> inflate(BytesView compressed);
    Result<void> unzstd(BytesView compressed);

    Format format_;
    Kind kind_ = Kind::kUnknown;
    uint64_t bytes_max_;
    uint64_t bytes_out_ = 0;
    ByteSink out_;
    Bytes first_;  // until there are enough bytes to tell
    Bytes piece_;
    bool ended_ = false;  // between members or frames
    std::unique_ptr<Inflate> inflate_;
    std::unique_ptr<Unzstd> unzstd_;
};

}  // namespace smackd::core
