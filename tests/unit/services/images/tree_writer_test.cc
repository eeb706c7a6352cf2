#include "services/images/tree_writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <fstream>

using namespace smackd::core;
using namespace smackd::services::images;
using archive::TarMember;
using Kind = archive::TarMember::Kind;

namespace {

struct Fixture {
    std::string top;
    std::string root;
    TreeWriter writer;

    explicit Fixture(bool layer = true)
        : top(make()), root(top + "/root"), writer(open(root), {.layer = layer, .uid = 1234, .gid = 1235}) {}
    ~Fixture() { std::filesystem::remove_all(top); }

    static std::string make() {
        if (::geteuid() != 0) SKIP("owners can be set by root only");
        std::string path = "/tmp/smackd_tree_XXXXXX";
        REQUIRE(::mkdtemp(path.data()) != nullptr);
        std::filesystem::create_directory(path + "/root");
        std::ofstream(path + "/outside") << "secret";
        return path;
    }
    static FileDescriptor open(const std::string& path) {
        return FileDescriptor(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    }
    Result<void> add(Kind kind, std::string path, std::string target_or_content = {}, uint32_t mode = 0644) {
        TarMember member{
            .kind = kind, .path = std::move(path), .target = {}, .mode = mode, .uid = 7, .gid = 8};
        member.mtime_seconds = 1'000'000;
        if (kind == Kind::kFile) member.size = target_or_content.size();
        if (kind != Kind::kFile) member.target = target_or_content;
        TRY(writer.begin(member));
        if (kind == Kind::kFile) TRY(writer.content(target_or_content));
        return writer.end();
    }
    struct stat look(const std::string& path) const {
        struct stat about{};
        REQUIRE(::lstat((root + "/" + path).c_str(), &about) == 0);
        return about;
    }
    bool has(const std::string& path) const {
        struct stat about{};
        return ::lstat((root + "/" + path).c_str(), &about) == 0;
    }
    std::string read(const std::string& path) const {
        std::ifstream file(path);
        return {std::istreambuf_iterator<char>(file), {}};
    }
};

struct ArtifactFixture : Fixture {
    ArtifactFixture() : Fixture(false) {}
};

}  // namespace

TEST_CASE_METHOD(Fixture, "a layer's members with owners, modes and times") {
    REQUIRE(add(Kind::kDirectory, "d/", {}, 0700));
    REQUIRE(add(Kind::kFile, "d/suid", "body", 04755));
    REQUIRE(add(Kind::kHardLink, "d/hard", "d/suid"));
    REQUIRE(add(Kind::kSymlink, "link", "/absolute/../target"));
    REQUIRE(add(Kind::kFifo, "fifo", {}, 0600));
    REQUIRE(add(Kind::kFile, "made/on/the/way", "x"));
    REQUIRE(add(Kind::kDevice, "dev/sda"));
    REQUIRE(writer.finish());
    CHECK(look("d").st_mode == (S_IFDIR | 0700));
    CHECK(look("d").st_mtime == 1'000'000);
    CHECK(look("d/suid").st_mode == (S_IFREG | 04755));
    CHECK(look("d/suid").st_uid == 7);
    CHECK(look("d/suid").st_gid == 8);
    CHECK(look("d/suid").st_mtime == 1'000'000);
    CHECK(look("d/hard").st_ino == look("d/suid").st_ino);
    CHECK(S_ISLNK(look("link").st_mode));
    CHECK(S_ISFIFO(look("fifo").st_mode));
    CHECK(look("made/on").st_mode == (S_IFDIR | 0755));
    CHECK(!has("dev/sda"));
    CHECK(writer.devices_skipped() == 1);
}

TEST_CASE_METHOD(Fixture, "nothing leaves the folder") {
    CHECK(!add(Kind::kFile, "../outside", "x"));
    CHECK(!add(Kind::kFile, "a/../../outside", "x"));
    CHECK(!add(Kind::kHardLink, "h", "../outside"));
    CHECK(!add(Kind::kHardLink, "h", "/outside"));
    // Links that lead out lead to the folder's own top instead.
    REQUIRE(add(Kind::kSymlink, "up", "../"));
    REQUIRE(add(Kind::kSymlink, "abs", top));
    REQUIRE(add(Kind::kSymlink, "chain", "up/up/up"));
    REQUIRE(add(Kind::kFile, "up/outside", "inside"));
    REQUIRE(add(Kind::kFile, "chain/outside2", "inside"));
    CHECK(read(root + "/outside") == "inside");
    CHECK(read(root + "/outside2") == "inside");
    CHECK(!add(Kind::kFile, "abs/outside", "x"));  // TOP does not exist below the folder
    CHECK(!add(Kind::kHardLink, "h", "abs/outside"));
    // A file is never written through a link.
    REQUIRE(add(Kind::kSymlink, "victim", top + "/outside"));
    REQUIRE(add(Kind::kFile, "victim", "replaced"));
    CHECK(S_ISREG(look("victim").st_mode));
    REQUIRE(add(Kind::kSymlink, "victim2", top + "/outside"));
    REQUIRE(add(Kind::kHardLink, "hard", "victim2"));
    CHECK(S_ISLNK(look("hard").st_mode));
    REQUIRE(add(Kind::kDirectory, "victim2"));
    REQUIRE(writer.finish());
    CHECK(read(top + "/outside") == "secret");
    CHECK(std::distance(std::filesystem::directory_iterator(top), {}) == 2);
}

TEST_CASE_METHOD(Fixture, "whiteouts become what overlayfs knows") {
    REQUIRE(add(Kind::kFile, "etc/.wh.gone", "", 0));
    REQUIRE(add(Kind::kFile, "opaque/.wh..wh..opq"));
    REQUIRE(add(Kind::kFile, "opaque/new", "x"));
    REQUIRE(add(Kind::kFile, ".wh..wh.plnk"));
    // Removed and made anew in one layer, whichever stands first: a folder hides what was below.
    REQUIRE(add(Kind::kFile, ".wh.first"));
    REQUIRE(add(Kind::kDirectory, "first", {}, 0755));
    REQUIRE(add(Kind::kDirectory, "second", {}, 0755));
    REQUIRE(add(Kind::kFile, ".wh.second"));
    REQUIRE(add(Kind::kFile, ".wh.third"));
    REQUIRE(add(Kind::kFile, "third/file", "x"));
    REQUIRE(add(Kind::kFile, ".wh.file"));
    REQUIRE(add(Kind::kFile, "file", "x"));
    REQUIRE(writer.finish());
    const struct stat gone = look("etc/gone");
    CHECK(S_ISCHR(gone.st_mode));
    CHECK(gone.st_rdev == makedev(0, 0));
    CHECK(!has("etc/.wh.gone"));
    CHECK(!has("opaque/.wh..wh..opq"));
    CHECK(!has(".wh..wh.plnk"));
    CHECK(S_ISREG(look("file").st_mode));
    CHECK(writer.opaque() == std::set<std::string>{"opaque", "first", "second", "third"});
    CHECK(!add(Kind::kFile, ".wh.x", "content"));
    CHECK(!add(Kind::kFile, ".wh..."));
}

TEST_CASE_METHOD(Fixture, "members in each other's way") {
    REQUIRE(add(Kind::kFile, "d/file", "x"));
    CHECK(!add(Kind::kFile, "d", "x"));
    CHECK(!add(Kind::kFile, "d/file/below", "x"));
    REQUIRE(add(Kind::kDirectory, "d"));
    CHECK(has("d/file"));
    REQUIRE(add(Kind::kFile, "d/file", "new"));
    CHECK(read(root + "/d/file") == "new");
    CHECK(add(Kind::kHardLink, "h", "nowhere").error().code == Errc::kUnsupported);
    CHECK(!add(Kind::kHardLink, "h", "d"));
    CHECK(!add(Kind::kSymlink, "s", ""));
}

TEST_CASE_METHOD(Fixture, "of extended attributes only harmless ones are kept") {
    TarMember member{.kind = Kind::kFile, .path = "f", .target = {}, .mode = 0644};
    member.xattrs = {{"user.note", "1"},
                     {"trusted.overlay.opaque", "y"},
                     {"user.overlay.opaque", "y"},
                     {"security.selinux", "x"}};
    REQUIRE(writer.begin(member));
    REQUIRE(writer.end());
    char names[1000];
    const ssize_t size = ::listxattr((root + "/f").c_str(), names, sizeof names);
    if (size == 0) SKIP("this file system has no user attributes");
    const std::string all(names, static_cast<size_t>(size));
    CHECK(all.find("user.note") != std::string::npos);
    CHECK(all.find("overlay") == std::string::npos);
    CHECK(all.find("selinux") == std::string::npos);
}

TEST_CASE_METHOD(ArtifactFixture,
                 "an artifact's members belong to the task and have no rights of their own") {
    REQUIRE(add(Kind::kFile, "bin/tool", "x", 06755));
    REQUIRE(add(Kind::kFile, "bin/.wh.name", "ordinary"));
    REQUIRE(writer.finish());
    CHECK(look("bin").st_uid == 1234);
    CHECK(look("bin/tool").st_mode == (S_IFREG | 0755));
    CHECK(look("bin/tool").st_uid == 1234);
    CHECK(look("bin/tool").st_gid == 1235);
    CHECK(has("bin/.wh.name"));
}
