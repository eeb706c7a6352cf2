#include "core/archive/tar_reader.h"

#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <format>

#include "core/archive/path.h"

using namespace smackd::core;
using namespace smackd::core::archive;

namespace {

struct Heads {
    std::string name;
    char type = '0';
    std::string content{};
    std::string link{};
    std::string prefix{};
    std::string uid = "0000000";
};

std::string member(const Heads& head) {
    std::string block(512, '\0');
    auto put = [&](size_t at, std::string_view text) {
        std::memcpy(block.data() + at, text.data(), text.size());
    };
    put(0, head.name.substr(0, 100));
    put(100, "0000644");
    put(108, head.uid);
    put(116, "0000000");
    put(124, std::format("{:011o}", head.content.size()));
    put(136, "00000000001");
    put(148, "        ");
    block[156] = head.type;
    put(157, head.link);
    put(257, std::string_view("ustar\0"
                              "00",
                              8));
    put(345, head.prefix);
    unsigned sum = 0;
    for (char c : block) sum += static_cast<unsigned char>(c);
    put(148, std::format("{:06o}", sum));
    block[154] = '\0';
    block += head.content;
    block.resize((block.size() + 511) / 512 * 512, '\0');
    return block;
}

std::string record(std::string_view key, std::string_view value) {
    const size_t bare = key.size() + value.size() + 3;
    size_t length = bare + 1;
    while (std::to_string(length).size() + bare != length) ++length;
    return std::format("{} {}={}\n", length, key, value);
}

const std::string kEnd(1024, '\0');

struct Recorder final : TarSink {
    std::vector<TarMember> members;
    std::vector<std::string> contents;
    size_t ends = 0;
    Result<void> begin(const TarMember& member) override {
        members.push_back(member);
        contents.emplace_back();
        return {};
    }
    Result<void> content(BytesView bytes) override {
        contents.back().append(bytes);
        return {};
    }
    Result<void> end() override {
        ++ends;
        return {};
    }
};

Result<void> read(std::string_view tar, Recorder& into, TarLimits limits = {}, size_t step = 512) {
    TarReader reader(limits, into);
    for (size_t at = 0; at < tar.size(); at += step) TRY(reader.feed(tar.substr(at, step)));
    return reader.finish();
}

}  // namespace

TEST_CASE("members of a tar, however it is cut") {
    const std::string tar = member({.name = "dir/", .type = '5'}) +
                            member({.name = "dir/file", .content = std::string(700, 'x')}) +
                            member({.name = "link", .type = '2', .link = "../../etc/passwd"}) +
                            member({.name = "hard", .type = '1', .link = "dir/file"}) +
                            member({.name = "b", .prefix = "long/prefix"}) + kEnd;
    for (size_t step : {1U, 7U, 512U, 100000U}) {
        Recorder found;
        REQUIRE(read(tar, found, {}, step));
        REQUIRE(found.members.size() == 5);
        CHECK(found.ends == 5);
        CHECK(found.members[0].kind == TarMember::Kind::kDirectory);
        CHECK(found.contents[1] == std::string(700, 'x'));
        CHECK(found.members[1].mode == 0644);
        CHECK(found.members[2].target == "../../etc/passwd");
        CHECK(found.members[3].kind == TarMember::Kind::kHardLink);
        CHECK(found.members[4].path == "long/prefix/b");
    }
}

TEST_CASE("pax and GNU headers say what the ustar header cannot") {
    const std::string long_name(300, 'n');
    const std::string pax = record("path", "p/" + long_name) + record("uid", "70000") +
                            record("mtime", "-5.25") + record("SCHILY.xattr.user.a", std::string("v\0w", 3)) +
                            record("comment", "x");
    const std::string tar = member({.name = "g", .type = 'g', .content = record("gid", "7")}) +
                            member({.name = "x", .type = 'x', .content = pax}) +
                            member({.name = "short", .content = "1"}) +
                            member({.name = "L", .type = 'L', .content = long_name + '\0'}) +
                            member({.name = "K", .type = 'K', .content = "target" + std::string(1, '\0')}) +
                            member({.name = "s", .type = '2', .link = "t"}) + kEnd;
    Recorder found;
    REQUIRE(read(tar, found));
    REQUIRE(found.members.size() == 2);
    CHECK(found.members[0].path == "p/" + long_name);
    CHECK(found.members[0].uid == 70000);
    CHECK(found.members[0].gid == 7);
    CHECK(found.members[0].mtime_seconds == -5);
    CHECK(found.members[0].mtime_nanoseconds == 250'000'000);
    CHECK(found.members[0].xattrs.at("user.a") == std::string("v\0w", 3));
    CHECK(found.members[1].path == long_name);
    CHECK(found.members[1].target == "target");
    CHECK(found.members[1].gid == 7);
}

TEST_CASE("numbers in base 256") {
    const std::string uid("\x80\x00\x00\x00\x00\x02\x00\x00", 8);
    Recorder found;
    REQUIRE(read(member({.name = "a", .uid = uid}) + kEnd, found));
    CHECK(found.members[0].uid == 0x20000);
    for (const std::string& bad :
         {std::string("\xff\xff\xff\xff\xff\xff\xff\xff", 8), std::string("\x80\x01\0\0\0\0\0\0", 8)}) {
        Recorder none;
        CHECK(!read(member({.name = "a", .uid = bad}) + kEnd, none));
    }
}

TEST_CASE("wrong tars are refused") {
    struct Case {
        std::string tar;
        Errc code;
        std::string_view words;
    };
    std::string bad_sum = member({.name = "a"});
    bad_sum[0] = 'b';
    const Case cases[] = {
        {"", Errc::kInvalid, "cut short"},
        {"abc", Errc::kInvalid, "cut short"},
        {bad_sum, Errc::kInvalid, "checksum"},
        {member({.name = "a", .content = "xyz"}).substr(0, 514), Errc::kInvalid, "cut short in a"},
        {member({.name = "a", .type = 'S'}), Errc::kUnsupported, "sparse"},
        {member({.name = "x", .type = 'x', .content = record("GNU.sparse.major", "1")}) +
             member({.name = "a"}),
         Errc::kUnsupported, "sparse"},
        {member({.name = "a", .type = 'M'}), Errc::kUnsupported, "unknown kind"},
        {member({.name = "a", .type = '1', .content = "x"}), Errc::kUnsupported, "hard link"},
        {member({.name = "x", .type = 'x', .content = "7 a=b\n"}) + member({.name = "a"}), Errc::kInvalid,
         "record"},
        {member({.name = "x", .type = 'x', .content = "99999999999999999999 a=b\n"}), Errc::kInvalid,
         "record"},
        {member({.name = "x", .type = 'x', .content = record("size", "-1")}) + member({.name = "a"}),
         Errc::kInvalid, "size"},
        {member({.name = "x", .type = 'x', .content = record("uid", "4294967295")}) + member({.name = "a"}),
         Errc::kInvalid, "uid"},
        {member({.name = "a", .uid = "99x"}), Errc::kInvalid, "uid"},
    };
    for (const Case& wrong : cases) {
        CAPTURE(wrong.words);
        Recorder found;
        auto done = read(wrong.tar, found);
        REQUIRE(!done);
        CHECK(done.error().code == wrong.code);
        CHECK(done.error().message.find(wrong.words) != std::string::npos);
    }
}

TEST_CASE("limits of a tar") {
    Recorder found;
    const std::string two =
        member({.name = "a", .content = "12345"}) + member({.name = "b", .content = "12345"}) + kEnd;
    CHECK(read(two, found, {.bytes = 10, .members = 2}));
    CHECK(!read(two, found, {.bytes = 9}));
    CHECK(!read(two, found, {.members = 1}));
    const std::string huge =
        member({.name = "x", .type = 'x', .content = record("size", "9223372036854775807")}) +
        member({.name = "a"});
    CHECK(!read(huge, found));
    CHECK(!read(member({.name = "L", .type = 'L', .content = std::string(2000, 'x')}), found,
                {.extension_bytes = 1000}));
}

TEST_CASE("paths of members stay below the folder") {
    CHECK(join_path(*split_path("./a//b/./c/")) == "a/b/c");
    CHECK(join_path(*split_path("/etc/passwd")) == "etc/passwd");
    CHECK(split_path("./")->empty());
    CHECK(split_path("a..b/..c")->size() == 2);
    CHECK(!split_path(".."));
    CHECK(!split_path("a/../b"));
    CHECK(!split_path(std::string("a\0b", 3)));
    CHECK(!split_path(std::string(256, 'x')));
    CHECK(!split_path(std::string(5000, '/')));
    std::string deep;
    for (size_t i = 0; i <= kPathDepthMax; ++i) deep += "d/";
    CHECK(!split_path(deep));
    CHECK(parse_whiteout("a")->kind == Whiteout::Kind::kNone);
    CHECK(parse_whiteout(".wh.a")->name == "a");
    CHECK(parse_whiteout(".wh..wh..opq")->kind == Whiteout::Kind::kOpaque);
    CHECK(parse_whiteout(".wh..wh.plnk")->kind == Whiteout::Kind::kIgnore);
    CHECK(!parse_whiteout(".wh."));
    CHECK(!parse_whiteout(".wh..."));
    CHECK(!parse_whiteout(".wh.."));
}
