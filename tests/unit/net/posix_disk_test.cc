#include "net/posix_disk.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cstdlib>

namespace smackd::net {
namespace {

using core::Errc;
using core::OpenMode;

class Folder {
 public:
    Folder() {
        char name[] = "/tmp/smackd_disk_XXXXXX";
        REQUIRE(mkdtemp(name) != nullptr);
        path = name;
    }
    ~Folder() { static_cast<void>(std::system(("rm -rf " + path).c_str())); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    std::string path;
};

mode_t mode_of(const std::string& path) {
    struct stat about{};
    REQUIRE(stat(path.c_str(), &about) == 0);
    return about.st_mode & 0777;
}

TEST_CASE("files are made private, written, read and cut") {
    Folder folder;
    PosixDisk disk;
    std::string path = folder.path + "/log";
    auto file = disk.open(path, OpenMode::kCreateNew);
    REQUIRE(file);
    CHECK(mode_of(path) == 0600);
    CHECK(disk.open(path, OpenMode::kCreateNew).error().code == Errc::kConflict);
    REQUIRE((*file)->allocate(4096));
    CHECK((*file)->size().value() == 4096);
    REQUIRE((*file)->write_at(4094, "abcd"));
    CHECK((*file)->size().value() == 4098);
    REQUIRE((*file)->sync());
    char buffer[16] = {};
    CHECK((*file)->read_at(4092, buffer, sizeof buffer).value() == 6);
    CHECK(std::string_view(buffer, 6) == std::string_view("\0\0abcd", 6));
    CHECK((*file)->read_at(9000, buffer, sizeof buffer).value() == 0);
    REQUIRE((*file)->truncate(10));
    CHECK((*file)->size().value() == 10);
}

TEST_CASE("names are made, listed, replaced and removed") {
    Folder folder;
    PosixDisk disk;
    REQUIRE(disk.make_directory(folder.path + "/a/b"));
    REQUIRE(disk.make_directory(folder.path + "/a/b"));
    CHECK(mode_of(folder.path + "/a/b") == 0700);
    REQUIRE(core::write_file(disk, folder.path + "/a/z", "one"));
    REQUIRE(core::write_file(disk, folder.path + "/a/c", "two"));
    CHECK(disk.list(folder.path + "/a").value() == std::vector<std::string>{"b", "c", "z"});
    REQUIRE(disk.rename(folder.path + "/a/c", folder.path + "/a/z"));
    CHECK(core::read_file(disk, folder.path + "/a/z", 100).value() == "two");
    CHECK(core::read_file(disk, folder.path + "/a/z", 2).error().code == Errc::kInvalid);
    REQUIRE(disk.sync_directory(folder.path + "/a"));
    REQUIRE(disk.remove(folder.path + "/a/z"));
    CHECK(disk.remove(folder.path + "/a/z").error().code == Errc::kNotFound);
    CHECK(disk.exists(folder.path + "/a/z").value() == false);
    CHECK(disk.open(folder.path + "/none", OpenMode::kRead).error().code == Errc::kNotFound);
    CHECK(disk.make_directory(folder.path + "/a/b").has_value());
    CHECK(disk.free_bytes(folder.path).value() > 0);
}

TEST_CASE("a full device is kDiskFull") {
    PosixDisk disk;
    auto full = disk.open("/dev/full", OpenMode::kReadWrite);
    REQUIRE(full);
    CHECK((*full)->write_at(0, "x").error().code == Errc::kDiskFull);
}

}  // namespace
}  // namespace smackd::net
