#include "services/api/policy_view.h"

#include <catch2/catch_test_macros.hpp>

using namespace smackd;
using services::PolicyRows;
using services::PolicyView;

namespace {

void add_user(PolicyRows& rows, const std::string& name, bool disabled = false) {
    wire::PutUser user;
    user.set_name(name);
    user.set_disabled(disabled);
    rows.users.push_back(user);
}

void add_group(PolicyRows& rows, const std::string& name, const std::vector<std::string>& members) {
    wire::PutGroup group;
    group.set_name(name);
    for (const std::string& member : members) group.add_members(member);
    rows.groups.push_back(group);
}

void add_rule(PolicyRows& rows, const std::string& id, const std::string& subject, const std::string& action,
              const std::string& tenant = "*", const std::string& path = "/") {
    wire::PutRule rule;
    rule.set_id(id);
    rule.set_subject(subject);
    rule.add_actions(action);
    rule.set_tenant(tenant);
    rule.set_path(path);
    rows.rules.push_back(rule);
}

PolicyView office() {
    PolicyRows rows;
    add_user(rows, "root");
    add_user(rows, "alice");
    add_user(rows, "bob");
    add_user(rows, "eve", true);
    add_group(rows, "admins", {"root"});
    add_group(rows, "ops", {"alice", "ghost"});
    add_rule(rows, "all", "group:admins", "admin");
    add_rule(rows, "ops-view", "group:ops", "view", "shop", "/");
    return PolicyView(rows);
}

}  // namespace

TEST_CASE("admission needs a row that is not disabled") {
    const PolicyView view = office();
    const auto alice = view.admit("alice", "alice@R");
    REQUIRE(alice);
    CHECK(alice->groups == std::vector<std::string>{"ops"});

    const auto stranger = view.admit("mallory", "mallory@R");
    REQUIRE(!stranger);
    CHECK(stranger.error().code == core::Errc::kDenied);
    CHECK(stranger.error().message.contains("no user 'mallory'"));
    CHECK(stranger.error().message.contains("smackd user add mallory"));

    const auto eve = view.admit("eve", "eve@R");
    REQUIRE(!eve);
    CHECK(eve.error().message.contains("disabled"));
    CHECK(!view.admit("ghost", "ghost@R"));  // in a group, but without a row
}

TEST_CASE("what is seen follows the rules, and oneself is always seen") {
    const PolicyView view = office();
    const core::Subject root = *view.admit("root", "root@R");
    const core::Subject alice = *view.admit("alice", "alice@R");
    const core::Subject bob = *view.admit("bob", "bob@R");

    CHECK(view.sees(root, "machine", "n1"));
    CHECK(view.sees(root, "principal", "alice@R"));
    CHECK_FALSE(view.sees(alice, "machine", "n1"));  // her rule is for one tenant
    CHECK(view.sees(alice, "app", "x", "shop"));
    CHECK_FALSE(view.sees(alice, "app", "x", "bank"));
    CHECK(view.sees(alice, "user", "alice"));
    CHECK_FALSE(view.sees(alice, "user", "bob"));
    CHECK(view.sees(alice, "group", "ops"));
    CHECK_FALSE(view.sees(bob, "group", "ops"));
    CHECK(view.sees(alice, "rule", "ops-view"));
    CHECK_FALSE(view.sees(alice, "rule", "all"));
    CHECK_FALSE(view.sees(alice, "principal", "alice@R"));
}

TEST_CASE("a user whom no rule names is told which one is missing") {
    const PolicyView view = office();
    const core::Subject alice = *view.admit("alice", "alice@R");
    const core::Subject bob = *view.admit("bob", "bob@R");
    CHECK(view.authorize_somewhere(alice, core::Action::kView));
    CHECK(!view.authorize_somewhere(alice, core::Action::kLaunch));
    const auto refused = view.authorize_somewhere(bob, core::Action::kView);
    REQUIRE(!refused);
    CHECK(refused.error().message.contains("no rule lets user 'bob' view"));
    CHECK(view.grants(bob).empty());
    CHECK(view.grants(alice).size() == 1);
}

TEST_CASE("a rule that breaks the rules grants nothing") {
    PolicyRows rows;
    add_user(rows, "bob");
    add_rule(rows, "odd", "everybody", "admin");
    add_rule(rows, "lost", "user:bob", "admin", "*", "nowhere");
    const PolicyView view(rows);
    CHECK(view.grants(*view.admit("bob", "bob@R")).empty());
}
