#include "cmd/smackd/config.h"

#include <algorithm>
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

TEST_CASE("what a node has for tasks") {
    Config config;
    auto read = read_config(R"(
[tasks]
run = false
cpus = "1.5"
memory = "8GiB"
disk = "100GB"
address = "10.0.0.1"
ports = ["31000-31999", "8080"]
region = "eu"
[edge]
run = true
[listen]
dns = ["10.0.0.1:53", "[::1]:53"]
http = []
)",
                            "x.toml", config);
    REQUIRE((read ? "" : read.error().message) == std::string());
    CHECK_FALSE(config.tasks.run);
    CHECK(config.tasks.cpus_milli == 1500);
    CHECK(config.tasks.memory_bytes == 8ULL << 30);
    CHECK(config.tasks.disk_bytes == 100'000'000'000);
    CHECK(config.tasks.address == "10.0.0.1");
    CHECK(config.tasks.ports == std::vector<apps::PortRange>{{31000, 31999}, {8080, 8080}});
    CHECK(config.tasks.region == "eu");
    CHECK(config.edge.run == true);
    CHECK(config.edge.dns == std::vector<std::string>{"10.0.0.1:53", "[::1]:53"});
    CHECK(config.edge.http == std::vector<std::string>{});
    CHECK_FALSE(config.edge.https.has_value());
}

TEST_CASE("mistakes about tasks name key and rule") {
    CHECK(error_of("[tasks]\nrun = \"yes\"\n") ==
          "x.toml line 2: tasks.run: must be true or false without quotes");
    for (const char* cpus : {"0", "-1", "1.2345", "1.", ".5", "many", "65537", "18446744073709551616"})
        CHECK(error_of(std::format("[tasks]\ncpus = \"{}\"\n", cpus)).contains("tasks.cpus: '"));
    for (const char* size : {"0", "8", "1KiB"}) {
        const bool fine = std::string_view(size) != "0";
        CHECK((error_of(std::format("[tasks]\nmemory = \"{}\"\n", size)) == "no error") == fine);
    }
    for (const char* size : {"", "GiB", "1.5GiB", "-1", "9223372036854775808", "9000000TiB", "1 GiB", "1gib"})
        CHECK(error_of(std::format("[tasks]\nmemory = \"{}\"\n", size)).contains("is no size"));
    for (const char* ports : {"0-5", "5-4", "1-65536", "a", "1-", "-1", "1-2-3"})
        CHECK(error_of(std::format("[tasks]\nports = [\"{}\"]\n", ports)).contains("tasks.ports: '"));
    CHECK(error_of("[tasks]\nports = []\n").contains("tasks.ports: must be 1 to 16 ranges"));
    CHECK(error_of("[tasks]\naddress = \"n1\"\n").contains("tasks.address: 'n1' is no IP address"));
    CHECK(error_of("[listen]\ndns = [\"n1:53\"]\n")
              .contains("listen.dns: 'n1:53' must be IP:PORT, not a name"));
}

TEST_CASE("each key has a variable; lists are separated by commas") {
    const auto key = [](std::string_view name) {
        return *std::ranges::find(config_keys(), name, &ConfigKey::name);
    };
    CHECK(variable_of(key("listen.dns")) == "SMACKD_LISTEN_DNS");
    CHECK(variable_of(key("data_dir")) == "SMACKD_DATA_DIR");
    CHECK(split_value(key("listen.dns"), "1.2.3.4:53,[::1]:53") ==
          std::vector<std::string>{"1.2.3.4:53", "[::1]:53"});
    CHECK(split_value(key("listen.dns"), "none").empty());
    CHECK(split_value(key("listen.dns"), "a,") == std::vector<std::string>{"a", ""});
    CHECK(split_value(key("node.name"), "a,b") == std::vector<std::string>{"a,b"});
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
