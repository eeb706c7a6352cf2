#include "cmd/smackd/config.h"

#include <catch2/catch_test_macros.hpp>

namespace smackd::cmd {
namespace {

std::string error_of(std::string_view text) {
    Config config;
    auto read = read_config(text, "x.toml", config);
    return read ? "no error" : read.error().message;
}

TEST_CASE("every documented key is read") {
    Config config;
    auto read = read_config(R"(
data_dir = "/srv/smackd"
[log]
level = "warning"
file = "/var/log/smackd.log"
[node]
name = "n1.example.org"
advertise = "10.0.0.1:5055"
[listen]
api = "[::]:5050"
cluster = "10.0.0.1:5055"
kdc = "10.0.0.1:88"
[api]
host_names = ["cloud.example.org", "c"]
token_life_s = 600
[kerberos]
keytab = "/etc/krb5.keytab"
)",
                            "x.toml", config);
    REQUIRE((read ? "" : read.error().message) == std::string());
    CHECK(config.data_dir == "/srv/smackd");
    CHECK(config.log_level == core::LogLevel::kWarning);
    CHECK(config.node_name == "n1.example.org");
    CHECK(config.advertise_address == "10.0.0.1:5055");
    CHECK(config.api_address == "[::]:5050");
    CHECK(config.host_names == std::vector<std::string>{"cloud.example.org", "c"});
    CHECK(config.token_life_s == 600);
    CHECK(config.keytab == "/etc/krb5.keytab");
}

TEST_CASE("a mistake names file, line, key and rule") {
    CHECK(error_of("\n[listen]\napo = \"a:1\"\n") ==
          "x.toml line 3: unknown key 'listen.apo' (did you mean 'listen.api'?)");
    CHECK(error_of("data_dir = 3\n") == "x.toml line 1: data_dir: must be a string in quotes");
    CHECK(error_of("data_dir = \"srv\"\n") == "x.toml line 1: data_dir: 'srv' is not an absolute path");
    CHECK(error_of("[listen]\napi = \"nowhere\"\n").contains("must be HOST:PORT"));
    CHECK(error_of("[api]\nhost_names = [1]\n").contains("must be an array of strings"));
    const std::string range = "x.toml line 2: api.token_life_s: {} is not within 1 to 43200 seconds";
    for (const char* life : {"0", "-5", "43201", "9223372036854775807"}) {
        CHECK(error_of(std::format("[api]\ntoken_life_s = {}\n", life)) ==
              std::vformat(range, std::make_format_args(life)));
    }
    CHECK(error_of("[api]\ntoken_life_s = \"60\"\n").ends_with("must be a whole number without quotes"));
    CHECK(error_of("x = \n").starts_with("x.toml line 1: "));
    CHECK(error_of("\n[\x0b\na") == "x.toml line 2: has a control character");
    for (const char* letter : {"\u00e9", "\u0179", "\u2100", "\ufffd"})
        CHECK(error_of(std::format("data_dir = {} \"/a\"\n", letter)).starts_with("x.toml line 1: "));
    CHECK(error_of("[log]\nlevel = \"loud\"\n").contains("known are debug, info, warning, error"));
}

TEST_CASE("addresses") {
    CHECK(check_address("api", "localhost:1").has_value());
    CHECK(check_address("api", "[::1]:65535").has_value());
    CHECK_FALSE(check_address("api", "::1:80").has_value());
    CHECK_FALSE(check_address("api", "a:0").has_value());
    CHECK_FALSE(check_address("api", "a:65536").has_value());
    CHECK_FALSE(check_address("api", ":80").has_value());
    CHECK_FALSE(check_address("api", "a:").has_value());
    CHECK_FALSE(check_address("api", "a:8x").has_value());
    CHECK(host_of("[::1]:80") == "::1");
    CHECK(port_of("a:5050") == 5050);
}

TEST_CASE("the schedule of backups is a duration, a number and a folder") {
    Config config;
    REQUIRE(
        read_config("[backup]\nevery = \"90m\"\nkeep = 30\ndirectory = \"/mnt/safe\"\n", "x.toml", config));
    CHECK(config.backup.every == std::chrono::minutes(90));
    CHECK(config.backup.keep == 30);
    CHECK(config.backup.directory == "/mnt/safe");
    REQUIRE(read_config("backup.every = \"never\"\n", "x.toml", config));
    CHECK(config.backup.every == core::Duration(0));
    for (const char* every : {"", "h", "0s", "24", "1.5h", "-1h", "367d", "99999999999999d", "daily"}) {
        CHECK(error_of(std::format("backup.every = \"{}\"\n", every)).find("no duration") !=
              std::string::npos);
    }
    for (const char* keep : {"0", "-1", "10001", "\"7\""})
        CHECK(error_of(std::format("backup.keep = {}\n", keep)) != "no error");
    CHECK(error_of("backup.directory = \"here\"\n").find("absolute") != std::string::npos);
}

}  // namespace
}  // namespace smackd::cmd
