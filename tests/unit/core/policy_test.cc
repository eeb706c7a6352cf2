#include "core/policy.h"

#include <catch2/catch_test_macros.hpp>

namespace smackd::core {
namespace {

constexpr uint8_t bits(Action first, Action second = Action{0}) {
    return static_cast<uint8_t>(static_cast<uint8_t>(first) | static_cast<uint8_t>(second));
}

const std::vector<Rule> kRules = {
    {"everybody", "user:*", bits(Action::kView), "*", "/public"},
    {"ops", "group:ops", bits(Action::kLaunch, Action::kKill), "shop", "/web"},
    {"boss", "user:boss", bits(Action::kAdmin), "*", "/"},
};
const Subject kBob{"bob", {"ops", "dev"}};

TEST_CASE("a rule grants its actions on its tenant and below its path") {
    CHECK(find_grant(kRules, kBob, {Action::kLaunch, "shop", "/web/cart"})->id == "ops");
    CHECK(find_grant(kRules, kBob, {Action::kLaunch, "shop", "/web"})->id == "ops");
    CHECK(find_grant(kRules, kBob, {Action::kLaunch, "shop", "/website"}) == nullptr);
    CHECK(find_grant(kRules, kBob, {Action::kLaunch, "shop", "/"}) == nullptr);
    CHECK(find_grant(kRules, kBob, {Action::kLaunch, "bank", "/web"}) == nullptr);
    CHECK(find_grant(kRules, kBob, {Action::kLaunch, "*", "/web"}) == nullptr);
    CHECK(find_grant(kRules, kBob, {Action::kExec, "shop", "/web"}) == nullptr);
    CHECK(find_grant(kRules, kBob, {Action::kView, "bank", "/public/x"})->id == "everybody");
}

TEST_CASE("subjects do not match by accident") {
    const Request request{Action::kKill, "shop", "/web"};
    CHECK(find_grant(kRules, {"ops", {}}, request) == nullptr);
    CHECK(find_grant(kRules, {"x", {"op", "opsx"}}, request) == nullptr);
    CHECK(find_grant(kRules, {"boss", {}}, request)->id == "boss");
    const std::vector<Rule> odd = {{"r", "task:bob", bits(Action::kAdmin), "*", "/"},
                                   {"s", "user:", bits(Action::kAdmin), "*", "/"}};
    CHECK(find_grant(odd, kBob, request) == nullptr);
    CHECK(find_grant({}, kBob, request) == nullptr);
}

TEST_CASE("a refusal names user, action, place and what would grant it") {
    const auto refused = authorize(kRules, kBob, {Action::kAdmin, "*", "/"});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Errc::kDenied);
    CHECK(refused.error().message.contains("user 'bob' admin /;"));
    CHECK(refused.error().message.contains("smackd policy add NAME user:bob --allow admin --path /"));
    CHECK(authorize(kRules, {"boss", {}}, {Action::kAdmin, "*", "/"}).has_value());
}

TEST_CASE("actions have one name each") {
    for (const char* name : {"view", "launch", "change", "kill", "exec", "admin", "host"}) {
        CHECK(action_name(parse_action(name).value()) == name);
    }
    CHECK(parse_action("Admin").error().message.contains("view, launch, change, kill, exec, admin, host"));
    CHECK(action_names(bits(Action::kView, Action::kHost)) == std::vector<std::string_view>{"view", "host"});
    CHECK(parse_action("").error().code == Errc::kInvalid);
}

TEST_CASE("rules are checked field by field") {
    const Rule good{"r", "user:bob", bits(Action::kView), "shop", "/web"};
    CHECK(good.check().has_value());
    const auto broken = [&](auto change) {
        Rule rule = good;
        change(rule);
        return rule.check().error().message;
    };
    CHECK(broken([](Rule& r) { r.id = ""; }).contains("rule id"));
    CHECK(broken([](Rule& r) { r.subject = "bob"; }).contains("rule subject"));
    CHECK(broken([](Rule& r) { r.subject = "user:"; }).contains("user name"));
    CHECK(broken([](Rule& r) { r.subject = "group:*"; }).contains("group name"));
    CHECK(broken([](Rule& r) { r.actions = 0; }).contains("actions"));
    CHECK(broken([](Rule& r) { r.actions = 128; }).contains("actions"));
    CHECK(broken([](Rule& r) { r.tenant = ""; }).contains("''"));
    CHECK(broken([](Rule& r) { r.path = "web"; }).contains("path"));
    Rule everybody = good;
    everybody.subject = "user:*";
    everybody.tenant = "*";
    everybody.path = "/";
    CHECK(everybody.check().has_value());
}

}  // namespace
}  // namespace smackd::core
