// Wrong definitions: each with the status, the place that is named and a word of the rule.
#include <catch2/catch_test_macros.hpp>
#include <fstream>
#include <string>
#include <vector>

#include "core/marathon/app_json.h"

namespace smackd::marathon {
namespace {

using core::Json;

/// The cases that the API is asked, too (tests/integration/test_wrong_input.py): one JSON object a line.
std::vector<Json> cases() {
    std::ifstream file("tests/cases/wrong_apps.jsonl");
    std::vector<Json> all;
    for (std::string line; std::getline(file, line);) {
        auto parsed = Json::parse(line);
        INFO(line);
        REQUIRE(parsed);
        all.push_back(*std::move(parsed));
    }
    return all;
}

TEST_CASE("each wrong definition is refused with its status, place and rule") {
    const std::vector<Json> all = cases();
    CHECK(all.size() >= 150);
    for (const Json& wrong : all) {
        const std::string& text = wrong["body"].as_string();
        INFO(text);
        const auto body = parse_body(text);
        REQUIRE(body);
        const auto app = app_from_json(*body, {});
        REQUIRE_FALSE(app);
        INFO(app.error().to_string());
        const int64_t status = wrong["status"].as_integer();
        CHECK(app.error().status == status);
        CHECK(app.error().message == (status == 400 ? "Invalid JSON" : "Object is not valid"));
        bool named = false;
        for (const Violation& violation : app.error().details) {
            if (violation.path != wrong["path"].as_string()) continue;
            for (const std::string& error : violation.errors)
                named |= error.contains(wrong["word"].as_string());
        }
        CHECK(named);
    }
}

TEST_CASE("the definition beside the wrong members is right") {
    CHECK(app_from_json(*parse_body(R"({"id": "/a", "cmd": "ls"})"), {}));
}

TEST_CASE("limits are named") {
    std::string env = R"({"id": "a", "cmd": "ls", "env": {)";
    for (size_t i = 0; i <= kEnvironmentMax; ++i)
        env += (i == 0 ? "\"V" : ",\"V") + std::to_string(i) + "\": \"x\"";
    CHECK(app_from_json(*parse_body(env + "}}"), {}).error().to_string().contains("at most 1024"));
    const std::string cmd = R"({"id": "a", "cmd": ")" + std::string(kTextBytesMax + 1, 'x') + "\"}";
    CHECK(app_from_json(*parse_body(cmd), {}).error().to_string().contains("at most 65536 bytes"));
    std::string labels = R"({"id": "a", "cmd": "ls", "labels": {)";
    for (int i = 0; i < 5; ++i)
        labels +=
            (i == 0 ? "\"l" : ",\"l") + std::to_string(i) + "\": \"" + std::string(kTextBytesMax, 'x') + "\"";
    CHECK(app_from_json(*parse_body(labels + "}}"), {}).error().to_string().contains("too large"));
    const std::string id = R"({"cmd": "ls", "id": "/)" + std::string(600, 'a') + "\"}";
    CHECK(app_from_json(*parse_body(id), {}).error().to_string().contains("at most 512 bytes"));
}

}  // namespace
}  // namespace smackd::marathon
