#include "services/edge/table_json.h"

#include <catch2/catch_test_macros.hpp>

namespace smackd::edge {
namespace {

core::Result<wire::EdgeTable> read(std::string_view text) {
    auto json = core::Json::parse(text);
    REQUIRE(json);
    return table_from_json(*json);
}

TEST_CASE("a table is read from JSON") {
    auto table = read(R"({"epoch": 1, "revision": 2,
        "settings": {"dns_listeners": ["127.0.0.1:53"], "groups": [{"name": "external", "http_listeners": ["0.0.0.0:80"]}]},
        "apps": [{"id": "/web", "ports": [{"index": 0, "http": true, "routes": [{"host": "a.b", "path": "/x", "weight": -1}]}]}],
        "tasks": [{"id": "t", "app": "/web", "health": "pending", "ports": [{"host_port": 31000}]}],
        "names": [{"name": "p1.dcos", "addresses": ["10.0.0.1"], "servers": [{"target": "a.b", "port": 1}]}]})");
    REQUIRE(table);
    CHECK(table->revision() == 2);
    CHECK(table->settings().groups(0).http_listeners(0) == "0.0.0.0:80");
    CHECK(table->apps(0).ports(0).routes(0).weight() == -1);
    CHECK(table->tasks(0).health() == wire::EdgeTask::PENDING);
    CHECK(table->tasks(0).running());
    CHECK(table->names(0).servers(0).port() == 1);
}

TEST_CASE("what is wrong is named with its place") {
    auto error = [](std::string_view text) {
        auto table = read(text);
        return table ? std::string("no error") : table.error().message;
    };
    CHECK(error("[]") == "table: must be an object");
    CHECK(error(R"({"app": []})") == "table: unknown member 'app'");
    CHECK(error(R"({"apps": [{"id": 5}]})") == "apps: [0]: id: must be a string");
    CHECK(error(R"({"tasks": [{"health": "fine"}]})").contains("health"));
    CHECK(error(R"({"tasks": [{"ports": [{"host_port": 70000}]}]})").contains("from 0 to 65535"));
    CHECK(error(R"({"settings": {"dns_listeners": "x"}})").contains("must be a list"));
    CHECK(error(R"({"revision": -1})").contains("from 0"));
}

}  // namespace
}  // namespace smackd::edge
