#include "cmd/smackd/data_directory.h"

#include <stdlib.h>
#include <sys/stat.h>

#include <catch2/catch_test_macros.hpp>
#include <filesystem>

namespace smackd::cmd {
namespace {

struct TemporaryDirectory {
    std::string path = "/tmp/smackd_test_XXXXXX";
    TemporaryDirectory() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
    ~TemporaryDirectory() { std::filesystem::remove_all(path); }
};

TEST_CASE("folders are private except what others must pass through") {
    TemporaryDirectory temporary;
    DataDirectory directory(temporary.path + "/a/b");
    REQUIRE(directory.make().has_value());
    REQUIRE(directory.make().has_value());  // again: nothing to do
    struct stat info{};
    REQUIRE(::stat(directory.raft().c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0700);
}

TEST_CASE("a data directory has one user") {
    TemporaryDirectory temporary;
    DataDirectory directory(temporary.path);
    {
        auto first = DirectoryLock::take(directory);
        REQUIRE(first.has_value());
        auto second = DirectoryLock::take(directory);
        REQUIRE_FALSE(second.has_value());
        CHECK(second.error().message.contains("in use by another smackd (process "));
    }
    CHECK(DirectoryLock::take(directory).has_value());
}

TEST_CASE("identity and voters are read as written") {
    TemporaryDirectory temporary;
    DataDirectory directory(temporary.path);
    REQUIRE(directory.make().has_value());
    CHECK(read_identity(directory).error().code == core::Errc::kNotFound);
    REQUIRE(write_identity(directory, {7, "n1", "demo", "abcd", "DEMO.SMACKD", true}).has_value());
    auto identity = read_identity(directory);
    REQUIRE(identity.has_value());
    CHECK(identity->node_id == 7);
    CHECK(identity->realm == "DEMO.SMACKD");
    CHECK(identity->embedded_realm);

    REQUIRE(write_initial_voters(directory, {{1, "n1", "127.0.0.1:1"}, {2, "n2", "[::1]:2"}}).has_value());
    auto voters = read_initial_voters(directory);
    REQUIRE(voters.has_value());
    REQUIRE(voters->size() == 2);
    CHECK(voters->back().address == "[::1]:2");
}

TEST_CASE("a damaged voters file is refused with its line") {
    TemporaryDirectory temporary;
    DataDirectory directory(temporary.path);
    REQUIRE(directory.make().has_value());
    REQUIRE(replace_file(directory.initial_voters(), "x n1 a:1\n", 0600).has_value());
    CHECK(read_initial_voters(directory).error().message.contains("'x n1 a:1'"));
    REQUIRE(replace_file(directory.initial_voters(), "", 0600).has_value());
    CHECK_FALSE(read_initial_voters(directory).has_value());
}

}  // namespace
}  // namespace smackd::cmd
