#include "services/agent/skeleton.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>

#include "services/agent/small_file.h"

using namespace smackd;
using namespace smackd::agent;
namespace fs = std::filesystem;

namespace {

/// Two layers, "1" below "2".
struct Image {
    std::string base = fs::temp_directory_path().string() + "/smackd_skeleton_XXXXXX";
    Image() {
        REQUIRE(::mkdtemp(base.data()) != nullptr);
        for (const char* name : {"1", "2"}) fs::create_directory(base + "/" + name);
    }
    Image(const Image&) = delete;
    Image& operator=(const Image&) = delete;
    ~Image() { fs::remove_all(base); }
    std::vector<std::string> layers() const { return {base + "/1", base + "/2"}; }
    std::string path(const char* layer, const std::string& below) const {
        return base + "/" + layer + "/" + below;
    }
};

std::optional<SkeletonEntry> entry(const SkeletonPlan& plan, const std::string& path) {
    const auto found = std::ranges::find(plan.entries(), path, &SkeletonEntry::path);
    return found == plan.entries().end() ? std::nullopt : std::optional(*found);
}

}  // namespace

TEST_CASE("a skeleton makes the directories that an image lacks") {
    const Image image;
    SkeletonPlan plan(image.layers());
    CHECK(plan.add_file("/etc/hosts", "127.0.0.1 localhost\n"));
    CHECK(plan.add_mount_point("/mnt/mesos/sandbox", false));
    CHECK(plan.add_mount_point("//var//run/app.sock", true));
    std::vector<std::string> paths;
    for (const SkeletonEntry& one : plan.entries()) paths.push_back(one.path);
    CHECK(paths == std::vector<std::string>{"etc", "etc/hosts", "mnt", "mnt/mesos", "mnt/mesos/sandbox",
                                            "var", "var/run", "var/run/app.sock"});
    CHECK(entry(plan, "etc")->mode == 0755);
    CHECK(entry(plan, "etc/hosts")->text == "127.0.0.1 localhost\n");
    CHECK_FALSE(entry(plan, "var/run/app.sock")->directory);
}

TEST_CASE("a directory that the image has keeps its mode, and needs no mount point") {
    const Image image;
    fs::create_directories(image.path("1", "srv/data"));
    fs::create_directories(image.path("2", "srv"));
    ::chmod(image.path("1", "srv").c_str(), 0700);
    ::chmod(image.path("2", "srv").c_str(), 01777);
    SkeletonPlan plan(image.layers());
    CHECK_FALSE(plan.add_mount_point("/srv/data", false));
    CHECK(plan.entries().empty());
    CHECK(plan.add_mount_point("/srv/more", false));
    CHECK(entry(plan, "srv")->mode == 01777);  // the topmost layer's
}

TEST_CASE("what an image has instead of a directory is left alone") {
    const Image image;
    fs::create_directories(image.path("1", "usr/etc"));
    fs::create_directories(image.path("2", "run"));
    fs::create_symlink("usr/etc", image.path("2", "etc"));
    std::ofstream(image.path("2", "opt")) << "a file";
    std::ofstream(image.path("2", "run/file")) << "a file";
    SkeletonPlan plan(image.layers());
    CHECK_FALSE(plan.add_file("/etc/hosts", "text"));
    CHECK_FALSE(plan.add_mount_point("/etc", false));
    CHECK_FALSE(plan.add_mount_point("/opt/data", false));
    CHECK_FALSE(plan.add_mount_point("/run/file", true));  // it is there
    CHECK(plan.add_file("/run/file", "text"));             // over what is there
    CHECK_FALSE(plan.add_mount_point("/../outside", false));
    CHECK_FALSE(plan.add_file("/", "text"));
    // A link of a lower layer is hidden by a directory above it, and followed by nobody.
    fs::create_symlink("/etc", image.path("1", "var"));
    fs::create_directories(image.path("2", "var"));
    CHECK_FALSE(plan.add_mount_point("/var/passwd", false));
    CHECK_FALSE(entry(plan, "var/passwd").has_value());
}

TEST_CASE("a skeleton has a limit") {
    const Image image;
    SkeletonPlan plan(image.layers());
    for (size_t i = 0; i < kSkeletonMax; ++i) REQUIRE(plan.add_mount_point("/d" + std::to_string(i), false));
    CHECK_FALSE(plan.add_mount_point("/more", false));
    CHECK_FALSE(plan.add_file("/more", ""));
}

TEST_CASE("a skeleton is a file system of its own, with the task's ids") {
    if (::geteuid() != 0) SKIP("needs root");
    const std::vector<SkeletonEntry> entries = {{.path = "etc", .directory = true, .mode = 01775, .gid = 5},
                                                {.path = "etc/hosts", .mode = 0644, .text = "one\n"}};
    const auto made = make_skeleton(entries, 70000);
    REQUIRE(made.has_value());
    struct stat found{};
    REQUIRE(::fstatat(made->get(), "etc", &found, 0) == 0);
    CHECK((found.st_mode & 07777U) == 01775);
    CHECK(found.st_uid == 70000);
    CHECK(found.st_gid == 70005);
    CHECK(read_small_file(made->get(), "etc/hosts") == "one\n");
    CHECK_FALSE(make_skeleton({{.path = "no/parent", .directory = true}}, 0).has_value());
}

TEST_CASE("a hidden file of the image is no entry of a skeleton's directory") {
    if (::geteuid() != 0) SKIP("needs root");
    const Image image;
    fs::create_directories(image.path("1", "data"));
    REQUIRE(::mknod(image.path("2", "data").c_str(), S_IFCHR, ::makedev(0, 0)) == 0);  // a whiteout
    SkeletonPlan plan(image.layers());
    CHECK(plan.add_mount_point("/data", false));
    CHECK(entry(plan, "data")->mode == 0755);
}
