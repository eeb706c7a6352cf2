#include "services/api/command_json.h"

#include <catch2/catch_test_macros.hpp>
#include <string>

#include "services/api/row_json.h"

using namespace smackd;
using core::Json;

namespace {

Json parse(std::string_view text) {
    auto json = Json::parse(text);
    REQUIRE(json);
    return *json;
}

template <class T>
std::string message_of(const core::Result<T>& result) {
    REQUIRE(!result);
    CHECK(result.error().code == core::Errc::kInvalid);
    return result.error().message;
}

}  // namespace

TEST_CASE("a user comes from JSON and goes back") {
    const auto user =
        services::user_from_json("alice", parse(R"({"full_name":"Alice <A>","disabled":true})"));
    REQUIRE(user);
    CHECK(services::to_json(*user) == parse(R"({"name":"alice","full_name":"Alice <A>","disabled":true})"));
}

TEST_CASE("mistakes name the field and the rule") {
    CHECK(message_of(services::user_from_json("alice", parse(R"({"full_name":7})"))) ==
          "full_name: must be a string");
    CHECK(message_of(services::user_from_json("alice", parse(R"({"ful_name":"x"})"))) ==
          "field 'ful_name': not known here; known are name, full_name, disabled");
    CHECK(message_of(services::user_from_json("alice", parse("[]"))) == "body: must be a JSON object");
    CHECK(message_of(services::user_from_json("Alice", parse("{}"))).starts_with("user name 'Alice'"));
    CHECK(message_of(services::user_from_json("alice", parse(R"({"name":"bob"})"))) ==
          "name 'bob': the address names 'alice'");
    CHECK(message_of(services::user_from_json("alice", parse("{\"full_name\":\"a\\nb\"}")))
              .starts_with("full_name:"));
}

TEST_CASE("group members are sorted and unique") {
    const auto group = services::group_from_json("ops", parse(R"({"members":["zoe","bob","zoe"]})"));
    REQUIRE(group);
    CHECK(services::to_json(*group) == parse(R"({"name":"ops","description":"","members":["bob","zoe"]})"));
    CHECK(message_of(services::group_from_json("ops", parse(R"({"members":["Bob"]})")))
              .starts_with("members: user name"));
    CHECK(message_of(services::group_from_json("ops", parse(R"({"members":"bob"})"))) ==
          "members: must be a list of strings");
}

TEST_CASE("a machine's attributes are written in the order of their names") {
    const auto machine = services::machine_from_json(
        "n1.example.com", parse(R"({"roles":["server","agent"],"attributes":{"zone":"b","rack":"7"}})"));
    REQUIRE(machine);
    CHECK(services::to_json(*machine).dump() ==
          R"({"name":"n1.example.com","roles":["agent","server"],"attributes":{"rack":"7","zone":"b"},)"
          R"("state":"allowed","generation":0})");
    CHECK(message_of(services::machine_from_json("n1", parse(R"({"roles":["king"]})"))) ==
          "roles: 'king' must be one of server, agent, public");
    CHECK(message_of(services::machine_from_json("n1", parse(R"({"state":"gone"})"))) ==
          "state 'gone': must be allowed or suspended");
}

TEST_CASE("a rule needs a subject and known actions") {
    const auto rule =
        services::rule_from_json("r1", parse(R"({"subject":"group:ops","actions":["view","kill","view"]})"));
    REQUIRE(rule);
    CHECK(services::to_json(*rule) ==
          parse(R"({"id":"r1","subject":"group:ops","actions":["view","kill"],"tenant":"*","path":"/"})"));
    for (const auto& [path, meant] : {std::pair{"/team/*", "/team"}, {"/team", "/team"}, {"/*", "/"}}) {
        const auto below = services::rule_from_json(
            "r1", parse(std::string(R"({"subject":"user:*","actions":["view"],"path":")") + path + "\"}"));
        REQUIRE(below);
        CHECK(below->path() == meant);
    }
    CHECK(message_of(services::rule_from_json("r1", parse(R"({"actions":["view"]})"))) ==
          "subject: is required");
    CHECK(message_of(services::rule_from_json("r1", parse(R"({"subject":"user:*","actions":[]})")))
              .starts_with("rule actions"));
    CHECK(message_of(services::rule_from_json("r1", parse(R"({"subject":"user:*","actions":["fly"]})")))
              .starts_with("action 'fly'"));
    CHECK(message_of(services::rule_from_json("a/b", parse(R"({"subject":"user:*","actions":["view"]})")))
              .starts_with("rule id 'a/b'"));
}

TEST_CASE("secrets and principals have no JSON form") {
    wire::PutSecret secret;
    secret.set_name("ca");
    secret.set_sealed("xyz");
    CHECK(services::row_to_json("secret", secret.SerializeAsString()).is_null());
    CHECK(services::row_to_json("principal", "bytes").is_null());
    CHECK(services::row_to_json("user", "\xFF\xFF").is_null());
}

TEST_CASE("a change of the feed shows its row unless it was removed") {
    wire::PutUser user;
    user.set_name("bob");
    wire::FeedChange change;
    change.set_kind("user");
    change.set_key("bob");
    change.set_epoch(2);
    change.set_revision(17);
    change.set_row(user.SerializeAsString());
    const Json shown = services::to_json(change);
    CHECK(shown["revision"].as_string() == "2.17");
    CHECK(shown["row"]["name"].as_string() == "bob");
    change.set_removed(true);
    CHECK(services::to_json(change).find("row") == nullptr);
}
