#include "core/compress_expander.h"

#include <catch2/catch_test_macros.hpp>

using namespace smackd::core;

namespace {

// printf hello | gzip -n; printf hello | zstd
const Bytes kGzipHello(
    "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xcb\x48\xcd\xc9\xc9\x07\x00\x86\xa6\x10\x36\x05\x00\x00\x00",
    25);

Bytes zstd(BytesView plain) {
    Bytes out;
    Compressor compressor([&](BytesView piece) -> Result<void> {
        out.append(piece);
        return {};
    });
    REQUIRE(compressor.write(plain));
    REQUIRE(compressor.finish());
    return out;
}

Result<Bytes> expand(BytesView bytes, size_t step = 1, uint64_t max = 1000000) {
    Bytes out;
    Expander expander(Expander::Format::kDetect, max, [&](BytesView piece) -> Result<void> {
        out.append(piece);
        return {};
    });
    for (; !bytes.empty(); bytes.remove_prefix(std::min(step, bytes.size())))
        TRY(expander.write(bytes.substr(0, step)));
    TRY(expander.finish());
    return out;
}

}  // namespace

TEST_CASE("gzip, zstd and plain are told apart, however they are cut") {
    const Bytes skippable("\x50\x2a\x4d\x18\x02\x00\x00\x00xy", 10);
    for (size_t step : {1U, 3U, 1000U}) {
        CHECK(*expand(kGzipHello, step) == "hello");
        CHECK(*expand(kGzipHello + kGzipHello + Bytes(100, '\0'), step) == "hellohello");
        CHECK(*expand(zstd("hello") + skippable + zstd("you"), step) == "helloyou");
        CHECK(*expand("plain text", step) == "plain text");
        CHECK(expand("", step)->empty());
        CHECK(*expand("ab", step) == "ab");
    }
    const Bytes large(300000, 'x');
    CHECK(*expand(zstd(large), 100) == large);
}

TEST_CASE("damaged, cut and exploding streams are refused") {
    CHECK(!expand(kGzipHello.substr(0, 20)));
    CHECK(!expand(zstd("hello").substr(0, 10)));
    Bytes damaged = kGzipHello;
    damaged[18] = 'x';
    CHECK(!expand(damaged));
    CHECK(!expand(kGzipHello + "trailing"));
    CHECK(!expand(zstd("hello") + "trailing"));
    auto bomb = expand(zstd(Bytes(100000, 'x')), 1000, 99999);
    REQUIRE(!bomb);
    CHECK(bomb.error().code == Errc::kCorrupt);
    CHECK(expand(zstd(Bytes(100000, 'x')), 1000, 100000));
}
