// What a plan says of definitions: each field that differs, and whether tasks see it.
#include "core/marathon/app_diff.h"

#include <catch2/catch_test_macros.hpp>
#include <format>

#include "core/marathon/app_json.h"

namespace smackd::marathon {
namespace {

wire::AppDefinition app(std::string_view text) {
    auto read = app_from_json(*core::Json::parse(text), {});
    INFO(text);
    INFO((read ? "" : read.error().to_string()));
    REQUIRE(read);
    return *read;
}

/// "/cmd "aa" -> "bb" restarts", one after the other.
std::string diff(const wire::AppDefinition* before, const wire::AppDefinition& after) {
    std::string text;
    for (const FieldChange& change : changed_fields(before, after)) {
        text += std::format("{}{} {} -> {}{}", text.empty() ? "" : "; ", change.path, change.before.dump(),
                            change.after.dump(), change.restarts ? " restarts" : "");
    }
    return text;
}

std::string updated(std::string_view text, std::string_view update) {
    const wire::AppDefinition before = app(text);
    auto after = updated_app(before, *core::Json::parse(update), {});
    INFO((after ? "" : after.error().to_string()));
    REQUIRE(after);
    return diff(&before, *after);
}

constexpr std::string_view kWeb = R"({"id": "/web", "cmd": "aa", "instances": 2, "env": {"A": "1", "B": "2"},
    "labels": {"x": "1"}, "fetch": [{"uri": "http://h/a.tgz"}]})";

TEST_CASE("nothing differs from itself, whatever form it was written in") {
    CHECK(updated(kWeb, "{}") == "");
    CHECK(updated(kWeb, R"({"cmd": "aa", "env": {"B": "2", "A": "1"}, "uris": ["http://h/a.tgz"]})") == "");
}

TEST_CASE("each field by its path, and whether tasks are replaced for it") {
    CHECK(updated(kWeb, R"({"cmd": "bb"})") == R"(/cmd "aa" -> "bb" restarts)");
    CHECK(updated(kWeb, R"({"instances": 3})") == "/instances 2 -> 3");
    CHECK(updated(kWeb, R"({"labels": {"y": "2"}})") == R"(/labels/x "1" -> null; /labels/y null -> "2")");
    CHECK(updated(kWeb, R"({"env": {"A": "1", "B": "3"}})") == R"(/env/B "2" -> "3" restarts)");
    CHECK(updated(kWeb, R"({"upgradeStrategy": {"minimumHealthCapacity": 0.5}})") ==
          "/upgradeStrategy/minimumHealthCapacity 1 -> 0.5");
    CHECK(updated(R"({"id": "/x", "cmd": "aa"})", R"({"env": {"A": "1"}, "user": "u"})") ==
          R"(/user null -> "u" restarts; /env/A null -> "1" restarts)");
    CHECK(updated(kWeb, R"({"instances": 3, "cmd": "bb", "labels": {}})") ==
          R"(/instances 2 -> 3; /cmd "aa" -> "bb" restarts; /labels/x "1" -> null)");
}

TEST_CASE("lists: elements of objects by their number, plain ones as a whole") {
    CHECK(updated(kWeb, R"({"fetch": [{"uri": "http://h/b.tgz"}]})") ==
          R"(/fetch(0)/uri "http://h/a.tgz" -> "http://h/b.tgz" restarts)");
    const std::string more =
        updated(kWeb, R"({"fetch": [{"uri": "http://h/a.tgz"}, {"uri": "http://h/b"}]})");
    CHECK(more.starts_with("/fetch(1) null -> {"));
    CHECK(more.ends_with(" restarts"));
    CHECK(updated(kWeb, R"({"acceptedResourceRoles": ["*"]})") == R"(/acceptedResourceRoles null -> ["*"])");
}

TEST_CASE("what cannot be alone is as the whole is") {
    CHECK(updated(kWeb, R"({"args": ["x"]})") ==
          R"(/cmd "aa" -> null restarts; /args null -> ["x"] restarts)");
}

TEST_CASE("a new app: what is not as the defaults are") {
    const wire::AppDefinition one = app(R"({"id": "/n", "cmd": "aa", "cpus": 0.5, "mem": 128})");
    CHECK(diff(nullptr, one) == R"(/cpus null -> 0.5; /cmd null -> "aa")");
}

}  // namespace
}  // namespace smackd::marathon
