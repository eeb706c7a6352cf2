#include "core/compress_gzip.h"

#include <zlib.h>

#include "core/assert.h"

namespace smackd::core {
namespace {

constexpr int kGzipWindow = 15 + 16;  // deflateInit2: 16 asks for gzip's header
constexpr int kMemoryLevel = 8;       // zlib's own choice

}  // namespace

Bytes gzip(BytesView plain) {
    z_stream stream{};
    const int begun = ::deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzipWindow, kMemoryLevel,
                                     Z_DEFAULT_STRATEGY);
    SMACK_ASSERT(begun == Z_OK);  // only misuse or no memory
    Bytes out(::deflateBound(&stream, plain.size()), '\0');
    stream.next_in =
        reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));  // zlib's type has no const form
    stream.avail_in = static_cast<uInt>(plain.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    const int ended = ::deflate(&stream, Z_FINISH);
    SMACK_ASSERT(ended == Z_STREAM_END);
    out.resize(stream.total_out);
    ::deflateEnd(&stream);
    return out;
}

}  // namespace smackd::core
