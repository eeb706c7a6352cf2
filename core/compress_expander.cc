#include "core/compress_expander.h"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>

#include "core/assert.h"

namespace smackd::core {

namespace {

constexpr size_t kMagicBytes = 4;
constexpr int kGzipOnly = 16;  // added to the window bits: inflateInit2's way to say "a gzip header comes"

bool is_gzip(BytesView bytes) {
    return bytes.starts_with("\x1f\x8b");
}

/// A frame (RFC 8878 section 3.1.1) or a skippable one (3.1.2).
bool is_zstd(BytesView bytes) {
    if (bytes.size() < kMagicBytes) return false;
    const uint32_t magic = get_u32(bytes.data());
    return magic == 0xFD2FB528U || (magic & 0xFFFFFFF0U) == 0x184D2A50U;
}

}  // namespace

struct Expander::Inflate {
    z_stream stream{};
    explicit Inflate(int window_bits) { SMACK_ASSERT(inflateInit2(&stream, window_bits) == Z_OK); }
    ~Inflate() { inflateEnd(&stream); }
    Inflate(const Inflate&) = delete;
    Inflate& operator=(const Inflate&) = delete;
};

struct Expander::Unzstd {
    ZSTD_DCtx* context = ZSTD_createDCtx();
    Unzstd() {
        SMACK_ASSERT(context != nullptr);
        ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, kExpandWindowLogMax);
    }
    ~Unzstd() { ZSTD_freeDCtx(context); }
    Unzstd(const Unzstd&) = delete;
    Unzstd& operator=(const Unzstd&) = delete;
};

Expander::Expander(Format format, uint64_t bytes_max, ByteSink out)
    : format_(format), bytes_max_(bytes_max), out_(std::move(out)), piece_(kCompressPieceBytes, '\0') {}
Expander::~Expander() = default;

Result<void> Expander::choose() {
    if (format_ == Format::kDeflate) {
        kind_ = Kind::kInflate;
        inflate_ = std::make_unique<Inflate>(-MAX_WBITS);
    } else if (is_gzip(first_)) {
        kind_ = Kind::kInflate;
        inflate_ = std::make_unique<Inflate>(MAX_WBITS + kGzipOnly);
    } else if (is_zstd(first_)) {
        kind_ = Kind::kZstd;
        unzstd_ = std::make_unique<Unzstd>();
    } else {
        kind_ = Kind::kPlain;
    }
    return pass_on(std::exchange(first_, {}));
}

Result<void> Expander::write(BytesView compressed) {
    if (kind_ != Kind::kUnknown) return pass_on(compressed);
    first_.append(compressed);
    if (first_.size() < kMagicBytes) return {};
    return choose();
}

Result<void> Expander::pass_on(BytesView bytes) {
    switch (kind_) {
        case Kind::kInflate:
            return inflate(bytes);
        case Kind::kZstd:
            return unzstd(bytes);
        default:
            for (; !bytes.empty(); bytes.remove_prefix(std::min(bytes.size(), kCompressPieceBytes)))
                TRY(emit(bytes.substr(0, kCompressPieceBytes)));
            return {};
    }
}

Result<void> Expander::emit(BytesView plain) {
    if (plain.empty()) return {};
    if (plain.size() > bytes_max_ - bytes_out_) {
        return fail(Errc::kCorrupt, "compressed bytes expand to more than {} bytes", bytes_max_);
    }
    bytes_out_ += plain.size();
    return out_(plain);
}

Result<void> Expander::inflate(BytesView compressed) {
    z_stream& stream = inflate_->stream;
    // zlib does not write to what it reads; its field lacks the const.
    stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(compressed.data()));
    stream.avail_in = static_cast<uInt>(compressed.size());
    SMACK_ASSERT(stream.avail_in == compressed.size());
    for (bool full = false; stream.avail_in > 0 || full;) {
        if (ended_) {
            if (format_ == Format::kDeflate) return fail(Errc::kCorrupt, "deflate: bytes behind the end");
            if (*stream.next_in == 0) {
                ++stream.next_in;
                --stream.avail_in;
                continue;
            }
            ended_ = false;
            inflateReset(&stream);
        }
        stream.next_out = reinterpret_cast<Bytef*>(piece_.data());
        stream.avail_out = static_cast<uInt>(piece_.size());
        const int status = ::inflate(&stream, Z_NO_FLUSH);
        if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR) {
            return fail(Errc::kCorrupt, "gzip: {}", stream.msg != nullptr ? stream.msg : "damaged");
        }
        full = stream.avail_out == 0 && status != Z_STREAM_END;
        ended_ = status == Z_STREAM_END;
        TRY(emit(BytesView(piece_).substr(0, piece_.size() - stream.avail_out)));
        if (status == Z_BUF_ERROR && !full) break;
    }
    return {};
}

Result<void> Expander::unzstd(BytesView compressed) {
    ZSTD_inBuffer in{compressed.data(), compressed.size(), 0};
    for (bool full = false; in.pos < in.size || full;) {
        ZSTD_outBuffer out{piece_.data(), piece_.size(), 0};
        const size_t left = ZSTD_decompressStream(unzstd_->context, &out, &in);
        if (ZSTD_isError(left)) return fail(Errc::kCorrupt, "zstd: {}", ZSTD_getErrorName(left));
        ended_ = left == 0;
        full = !ended_ && out.pos == out.size;
        TRY(emit(BytesView(piece_).substr(0, out.pos)));
    }
    return {};
}

Result<void> Expander::finish() {
    if (kind_ == Kind::kUnknown) TRY(choose());
    if (kind_ != Kind::kPlain && !ended_) return fail(Errc::kCorrupt, "compressed bytes are cut short");
    return {};
}

}  // namespace smackd::core
