#include "core/compress.h"

#include <catch2/catch_test_macros.hpp>

using namespace smackd::core;

namespace {

Bytes compressed(BytesView plain) {
    Bytes out;
    Compressor compressor([&out](BytesView piece) {
        out += piece;
        return Result<void>();
    });
    REQUIRE(compressor.write(plain));
    REQUIRE(compressor.finish());
    return out;
}

Result<Bytes> decompressed(BytesView bytes, size_t piece) {
    Bytes out;
    Decompressor decompressor([&out](BytesView part) {
        out += part;
        return Result<void>();
    });
    for (size_t at = 0; at < bytes.size(); at += piece) TRY(decompressor.write(bytes.substr(at, piece)));
    TRY(decompressor.finish());
    return out;
}

}  // namespace

TEST_CASE("what is compressed comes back, in pieces of any size") {
    Bytes plain;
    for (int i = 0; i < 100'000; ++i) plain += std::to_string(i % 997);
    for (const Bytes& text : {Bytes(), Bytes("a"), plain}) {
        const Bytes bytes = compressed(text);
        for (const size_t piece : {size_t{1}, size_t{7}, size_t{65536}})
            CHECK(decompressed(bytes, piece).value() == text);
    }
    CHECK(compressed(plain).size() < plain.size() / 4);
}

TEST_CASE("a cut, foreign or longer frame is corrupt, and a refusal ends the work") {
    const Bytes bytes = compressed("some text, some text, some text");
    for (size_t size = 0; size < bytes.size(); ++size) CHECK_FALSE(decompressed(bytes.substr(0, size), 100));
    CHECK_FALSE(decompressed(bytes + "x", 100));
    CHECK_FALSE(decompressed("no zstd at all", 100));
    // A few bytes that stand for a gigabyte are seen in pieces.
    const Bytes bomb = compressed(Bytes(64 << 20, '\0'));
    CHECK(bomb.size() < 16 * 1024);
    size_t seen = 0;
    Decompressor decompressor([&seen](BytesView part) -> Result<void> {
        CHECK(part.size() <= kCompressPieceBytes);
        seen += part.size();
        if (seen > 1 << 20) return fail(Errc::kInvalid, "too much");
        return {};
    });
    CHECK_FALSE(decompressor.write(bomb));
    CHECK(seen <= (1 << 20) + kCompressPieceBytes);
}
