#include "cmd/smackd/config_text.h"

#include <catch2/catch_test_macros.hpp>
#include <format>

namespace smackd::cmd {
namespace {

/// The example with all keys taken in.
std::string uncommented() {
    std::string out;
    const std::string kept = example_config();
    for (size_t at = 0; at < kept.size();) {
        const size_t end = std::min(kept.find('\n', at), kept.size());
        std::string line = kept.substr(at, end - at);
        at = end + 1;
        if (line.size() > 1 && line[0] == '#' && line[1] != ' ') line = line.substr(1);
        out += line + "\n";
    }
    return out;
}

TEST_CASE("the example has every key, as a comment") {
    Config config;
    REQUIRE(read_config(example_config(), "example", config).has_value());
    for (const ConfigKey& key : config_keys()) CHECK(value_text(key, config) == value_text(key, Config{}));
    auto read = read_config(uncommented(), "example", config);
    CHECK((read ? "" : read.error().message) == std::string());
    for (const ConfigKey& key : config_keys()) {
        INFO(key.name);
        CHECK(example_config().contains(std::format(
            "\n#{} = ",
            key.name.substr(key.name.find('.') == std::string_view::npos ? 0 : key.name.find('.') + 1))));
        CHECK_FALSE(value_text(key, config).empty());
        // What stands there is what was built in, where anything was.
        const std::string built_in = value_text(key, Config{});
        if (!built_in.empty()) CHECK(value_text(key, config) == built_in);
    }
}

TEST_CASE("what is shown reads back as the same") {
    Config config;
    REQUIRE(read_config(R"(
data_dir = "/srv/\"odd\\name"
log.level = "debug"
node.gossip = "stream"
listen.dns = ["10.0.0.1:53", "[::1]:53"]
listen.http = []
tasks.run = false
tasks.cpus = "1.5"
tasks.memory = "8GiB"
tasks.ports = ["31000-31999", "8080"]
edge.run = false
backup.every = "90m"
)",
                        "x", config)
                .has_value());
    std::string text;
    for (const ConfigKey& key : config_keys()) {
        const std::string value = value_text(key, config);
        if (!value.empty()) text += std::format("{} = {}\n", key.name, value);
    }
    Config again;
    auto read = read_config(text, "again", again);
    CHECK((read ? "" : read.error().message) == std::string());
    for (const ConfigKey& key : config_keys()) CHECK(value_text(key, again) == value_text(key, config));
    CHECK(again.data_dir == "/srv/\"odd\\name");
    CHECK(again.tasks.cpus_milli == 1500);
    CHECK(again.edge.http == std::vector<std::string>());
    CHECK(again.backup.every == std::chrono::minutes(90));
}

}  // namespace
}  // namespace smackd::cmd
