#include "core/policy.h"

#include <catch2/catch_test_macros.hpp>

#include "core/apps/tenants.h"

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

/// A task of `app`; team-a owns /team-a but for what team-b has in it, nobody owns the rest.
Subject task_of(const std::string& app) {
    auto tenants = std::make_shared<apps::Tenants>();
    tenants->set("team-a", {"/team-a", "/shared/a", "/team-a/b/back"});
    tenants->set("team-b", {"/team-b", "/team-a/b"});
    return Subject{.user = {}, .groups = {}, .app = app, .tenants = std::move(tenants)};
}

TEST_CASE("a task views what its tenant owns, without a rule") {
    const Subject web = task_of("/team-a/web");
    const auto may = [&](const Subject& who, Action action, const std::string& path) {
        return find_grant({}, who, {action, "*", path}) != nullptr;
    };
    for (const char* own : {"/team-a", "/team-a/web", "/team-a/x/y", "/shared/a/z", "/team-a/b/back"})
        CHECK(may(web, Action::kView, own));
    for (const char* other : {"/", "/team-b", "/team-a/b", "/team-a/b/x", "/team-ab", "/shared", "/common"})
        CHECK_FALSE(may(web, Action::kView, other));
    for (const Action action :
         {Action::kLaunch, Action::kChange, Action::kKill, Action::kExec, Action::kAdmin, Action::kHost})
        CHECK_FALSE(may(web, action, "/team-a/web"));
    CHECK(find_grant({}, web, {Action::kView, "*", "/team-a"})->id == kOwnRule);
    // What nobody owns is not shared.
    CHECK(may(task_of("/common/x"), Action::kView, "/common/x"));
    CHECK_FALSE(may(task_of("/common/x"), Action::kView, "/common/y"));
    CHECK_FALSE(may(task_of("/common/x"), Action::kView, "/common"));
    CHECK_FALSE(may(web.by_rules(), Action::kView, "/team-a/web"));
}

TEST_CASE("rules for tasks are of tasks alone, by the path of their app") {
    const std::vector<Rule> rules = {{"all", "user:*", bits(Action::kAdmin), "*", "/"},
                                     {"empty", "user:", bits(Action::kAdmin), "*", "/"},
                                     {"web", "task:/team-a/web", bits(Action::kChange), "*", "/team-b"}};
    const Request change{Action::kChange, "*", "/team-b/x"};
    CHECK(find_grant(rules, task_of("/team-a/web"), change)->id == "web");
    CHECK(find_grant(rules, task_of("/team-a/web/sub"), change)->id == "web");
    CHECK(find_grant(rules, task_of("/team-a/website"), change) == nullptr);
    CHECK(find_grant(rules, task_of("/team-a"), change) == nullptr);
    CHECK(find_grant({&rules[2], 1}, {"/team-a/web", {}}, change) == nullptr);
    CHECK(find_grant({&rules[2], 1}, {"", {"/team-a/web"}}, change) == nullptr);
    const auto refused = authorize(rules, task_of("/x"), change);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message.contains("tasks of '/x' change /team-b/x;"));
    CHECK(refused.error().message.contains("smackd policy add NAME task:/x --allow change --path /team-b/x"));
    CHECK(Rule{"r", "task:/a/b", bits(Action::kView), "*", "/"}.check());
    for (const char* bad : {"task:", "task:a", "task:/a/", "task:/../a", "task:*"})
        CHECK_FALSE(Rule{"r", bad, bits(Action::kView), "*", "/"}.check());
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
