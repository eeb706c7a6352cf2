#include "cmd/smackd/client/session_file.h"

#include <stdlib.h>
#include <sys/stat.h>

#include <catch2/catch_test_macros.hpp>
#include <filesystem>

namespace smackd::cmd {
namespace {

TEST_CASE("sessions are kept for each server, privately") {
    std::string folder = "/tmp/smackd_test_XXXXXX";
    REQUIRE(::mkdtemp(folder.data()) != nullptr);
    std::string path = folder + "/new/session.json";
    ::setenv("SMACKD_SESSION_FILE", path.c_str(), 1);

    CHECK_FALSE(load_session("https://a:1").has_value());
    REQUIRE(save_session({"https://a:1", "token-a", "alice@R", 100, "pem"}).has_value());
    REQUIRE(save_session({"https://b:1", "token-b", "bob@R", 200, ""}).has_value());
    REQUIRE(save_session({"https://a:1", "token-c", "alice@R", 300, "pem"}).has_value());
    auto session = load_session("https://a:1");
    REQUIRE(session.has_value());
    CHECK(session->token == "token-c");
    CHECK(session->expires_s == 300);
    CHECK(session->ca_pem == "pem");

    struct stat info{};
    REQUIRE(::stat(path.c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0600);

    REQUIRE(remove_session("https://a:1").has_value());
    REQUIRE(remove_session("https://a:1").has_value());
    CHECK_FALSE(load_session("https://a:1").has_value());
    CHECK(load_session("https://b:1").has_value());

    ::unsetenv("SMACKD_SESSION_FILE");
    std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace smackd::cmd
