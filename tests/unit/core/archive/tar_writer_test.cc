#include "core/archive/tar_writer.h"

#include <catch2/catch_test_macros.hpp>

#include "core/archive/tar_reader.h"
#include "core/compress_gzip.h"

namespace smackd::core::archive {
namespace {

struct Collected final : TarSink {
    Result<void> begin(const TarMember& member) override {
        names += member.path + "\n";
        mode = member.mode;
        return {};
    }
    Result<void> content(BytesView bytes) override {
        contents += bytes;
        return {};
    }
    Result<void> end() override {
        contents += "|";
        return {};
    }
    std::string names;
    std::string contents;
    uint32_t mode = 0;
};

TEST_CASE("what is written is read") {
    TarWriter writer;
    REQUIRE(writer.add("a/b.txt", "hello", 1'700'000'000));
    REQUIRE(writer.add("a/block", std::string(512, 'x'), 0));
    REQUIRE(writer.add("a/empty", "", 0));
    CHECK_FALSE(writer.add("", "x", 0));
    CHECK_FALSE(writer.add(std::string(kTarNameMax + 1, 'n'), "x", 0));
    const Bytes tar = writer.finish();
    CHECK(tar.size() % 512 == 0);
    Collected found;
    TarReader reader({}, found);
    REQUIRE(reader.feed(tar));
    REQUIRE(reader.finish());
    CHECK(found.names == "a/b.txt\na/block\na/empty\n");
    CHECK(found.contents == "hello|" + std::string(512, 'x') + "||");
    CHECK(found.mode == 0600);
}

TEST_CASE("gzip has its header and is smaller") {
    const Bytes packed = gzip(std::string(100'000, 'a'));
    REQUIRE(packed.size() > 2);
    CHECK(packed.substr(0, 2) == "\x1f\x8b");
    CHECK(packed.size() < 1000);
}

}  // namespace
}  // namespace smackd::core::archive
