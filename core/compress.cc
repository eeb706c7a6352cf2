#include "core/compress.h"

#include <zstd.h>

#include "core/assert.h"

namespace smackd::core {

struct Compressor::State {
    ZSTD_CCtx* context = ZSTD_createCCtx();
    Bytes piece = Bytes(kCompressPieceBytes, '\0');
    ~State() { ZSTD_freeCCtx(context); }
};

Compressor::Compressor(ByteSink out) : state_(std::make_unique<State>()), out_(std::move(out)) {
    SMACK_ASSERT(state_->context != nullptr);
    ZSTD_CCtx_setParameter(state_->context, ZSTD_c_checksumFlag, 1);
}
Compressor::~Compressor() = default;

Result<void> Compressor::run(BytesView plain, int directive) {
    ZSTD_inBuffer in{plain.data(), plain.size(), 0};
    for (;;) {
        ZSTD_outBuffer out{state_->piece.data(), state_->piece.size(), 0};
        const size_t left =
            ZSTD_compressStream2(state_->context, &out, &in, static_cast<ZSTD_EndDirective>(directive));
        SMACK_ASSERT(!ZSTD_isError(left));  // only misuse or no memory
        if (out.pos > 0) TRY(out_(BytesView(state_->piece).substr(0, out.pos)));
        const bool done = directive == ZSTD_e_end ? left == 0 : in.pos == in.size;
        if (done) return {};
    }
}

Result<void> Compressor::write(BytesView plain) {
    return run(plain, ZSTD_e_continue);
}

Result<void> Compressor::finish() {
    return run({}, ZSTD_e_end);
}

struct Decompressor::State {
    ZSTD_DCtx* context = ZSTD_createDCtx();
    Bytes piece = Bytes(kCompressPieceBytes, '\0');
    ~State() { ZSTD_freeDCtx(context); }
};

Decompressor::Decompressor(ByteSink out) : state_(std::make_unique<State>()), out_(std::move(out)) {
    SMACK_ASSERT(state_->context != nullptr);
    ZSTD_DCtx_setParameter(state_->context, ZSTD_d_windowLogMax, kCompressWindowLogMax);
}
Decompressor::~Decompressor() = default;

Result<void> Decompressor::write(BytesView compressed) {
    ZSTD_inBuffer in{compressed.data(), compressed.size(), 0};
    bool full = false;  // more may wait inside than fitted into the piece
    while (in.pos < in.size || full) {
        if (ended_) return fail(Errc::kCorrupt, "compressed bytes go on behind their end");
        ZSTD_outBuffer out{state_->piece.data(), state_->piece.size(), 0};
        const size_t left = ZSTD_decompressStream(state_->context, &out, &in);
        if (ZSTD_isError(left)) {
            return fail(Errc::kCorrupt, "compressed bytes: {}", ZSTD_getErrorName(left));
        }
        if (out.pos > 0) TRY(out_(BytesView(state_->piece).substr(0, out.pos)));
        ended_ = left == 0;
        full = !ended_ && out.pos == out.size;
    }
    return {};
}

Result<void> Decompressor::finish() {
    if (!ended_) return fail(Errc::kCorrupt, "compressed bytes are cut short");
    return {};
}

}  // namespace smackd::core
