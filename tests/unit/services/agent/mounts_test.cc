#include "services/agent/mounts.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "services/agent/small_file.h"

using namespace smackd;
using namespace smackd::agent;
namespace fs = std::filesystem;

namespace {

// 0 when the overlay shows both layers, the upper one first, and takes a new file into `upper`.
int try_overlay(const std::string& base, bool use_staging) {
    OverlayLayers layers;
    layers.lower = {base + "/1", base + "/2"};
    layers.upper = base + "/upper";
    layers.work = base + "/work";
    layers.staging = base + "/staging";
    layers.use_staging = use_staging;
    const auto overlay = detached_overlay(std::move(layers));
    if (!overlay) return 1;
    const Descriptor& made = overlay->mount;
    if (read_small_file(made.get(), "both") != "second" || read_small_file(made.get(), "below") != "first")
        return 2;
    const Descriptor file(::openat(made.get(), "new", O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    return file ? 0 : 3;
}

}  // namespace

TEST_CASE("an overlay is made by descriptors, and by paths as kernels before 6.13 want it") {
    if (::geteuid() != 0) SKIP("needs root");
    for (const bool use_staging : {false, true}) {
        std::string base = fs::temp_directory_path().string() + "/smackd_overlay_XXXXXX";
        REQUIRE(::mkdtemp(base.data()) != nullptr);
        for (const char* name : {"1", "2", "upper", "work", "staging"})
            fs::create_directory(base + "/" + name);
        std::ofstream(base + "/1/both") << "first";
        std::ofstream(base + "/1/below") << "first";
        std::ofstream(base + "/2/both") << "second";
        // In a process of its own: the way by paths changes the mount namespace.
        const pid_t child = ::fork();
        if (child == 0) ::_exit(try_overlay(base, use_staging));
        int status = -1;
        ::waitpid(child, &status, 0);
        CHECK(status == 0);
        CHECK(fs::exists(base + "/upper/new"));
        CHECK(fs::is_empty(base + "/staging"));
        CHECK_FALSE(read_small_file("/proc/self/mountinfo")->contains(base));
        fs::remove_all(base);
    }
}

TEST_CASE("links and dots in an image do not lead out of it") {
    std::string base = fs::temp_directory_path().string() + "/smackd_root_XXXXXX";
    REQUIRE(::mkdtemp(base.data()) != nullptr);
    fs::create_directories(base + "/root");
    fs::create_directories(base + "/outside");
    fs::create_symlink(base + "/outside", base + "/root/absolute");
    fs::create_symlink("../outside", base + "/root/relative");
    const Descriptor root(::open((base + "/root").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    for (const char* path : {"/absolute/x", "/relative/x", "/a/b/c"})
        (void)make_in_root("test", root.get(), path, false);
    CHECK(fs::is_empty(base + "/outside"));
    CHECK(fs::is_directory(base + "/root/a/b/c"));
    CHECK_FALSE(make_in_root("test", root.get(), "/nope/../../../x", false));
    CHECK(make_in_root("test", root.get(), "/a/file", true));
    CHECK(fs::is_regular_file(base + "/root/a/file"));
    fs::remove_all(base);
}
