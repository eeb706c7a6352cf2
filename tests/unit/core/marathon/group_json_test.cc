#include "core/marathon/group_json.h"

#include <catch2/catch_test_macros.hpp>

#include "core/marathon/app_json.h"

namespace smackd::marathon {
namespace {

using core::Json;

Json json(std::string_view text) {
    auto parsed = Json::parse(text);
    INFO(text);
    REQUIRE(parsed);
    return *parsed;
}

Tree tree_of(std::initializer_list<const char*> ids) {
    Tree tree;
    for (const std::string id : ids) {
        if (id.ends_with('/')) {
            tree.groups[id.substr(0, id.size() - 1)].set_id(id.substr(0, id.size() - 1));
        } else {
            tree.apps[id] = *app_from_json(json(R"({"cmd": "run", "id": ")" + id + "\"}"), {});
        }
    }
    return tree;
}

GroupUpdate update(const Tree& tree, const std::string& id, std::string_view text, bool create = false) {
    auto read = group_from_json(json(text), id, tree, create);
    INFO((read ? "" : read.error().to_string()));
    REQUIRE(read);
    return *std::move(read);
}

Problem problem(const Tree& tree, const std::string& id, std::string_view text, bool create = false) {
    auto read = group_from_json(json(text), id, tree, create);
    INFO(text);
    REQUIRE_FALSE(read);
    return read.error();
}

std::string ids(const Tree& tree) {
    std::string text;
    for (const auto& [id, app] : tree.apps) text += id + " ";
    text += "|";
    for (const auto& [id, group] : tree.groups) text += " " + id;
    return text;
}

TEST_CASE("nested groups with relative ids and dependencies become apps with absolute ones") {
    const auto made = update({}, "/", R"({"id": "/shop", "dependencies": ["/log"], "groups": [
        {"id": "db", "apps": [{"id": "cass", "cmd": "run"}]},
        {"id": "/shop/web", "dependencies": ["../db"], "apps": [
            {"id": "front", "cmd": "run", "dependencies": ["api", "../db/cass"]}, {"id": "/shop/web/api", "cmd": "run"}]}]})",
                             true);
    CHECK(made.id == "/shop");
    CHECK(ids(made.tree) == "/shop/db/cass /shop/web/api /shop/web/front | /shop /shop/db /shop/web");
    CHECK(made.tree.groups.at("/shop/web").dependencies(0) == "/shop/db");
    CHECK(made.tree.apps.at("/shop/web/front").dependencies(0) == "/shop/db/cass");
    CHECK(made.tree.apps.at("/shop/web/front").dependencies(1) == "/shop/web/api");
}

TEST_CASE("given lists replace, missing ones stay") {
    const Tree tree =
        tree_of({"/other", "/g/a", "/g/b", "/g/x/c", "/g/y/d", "/g/y/z/e", "/g/x/", "/g/y/", "/g/"});
    CHECK(ids(update(tree, "/g", R"({"apps": [{"id": "a", "cmd": "new"}]})").tree) ==
          "/g/a /g/x/c /g/y/d /g/y/z/e /other | /g /g/x /g/y");
    CHECK(ids(update(tree, "/g", R"({"groups": [{"id": "y"}]})").tree) ==
          "/g/a /g/b /g/y/d /g/y/z/e /other | /g /g/y");
    CHECK(ids(update(tree, "/g", R"({"groups": []})").tree) == "/g/a /g/b /other | /g");
    CHECK(ids(update(tree, "/g",
                     R"({"apps": [], "groups": [{"id": "n", "apps": [{"id": "m", "cmd": "run"}]}]})")
                  .tree) == "/g/n/m /other | /g /g/n");
    CHECK(ids(update(tree, "/g", R"({"dependencies": ["/other"]})").tree) == ids(tree));
    CHECK(update(tree, "/", R"({"groups": [{"id": "g"}]})").tree.apps.size() == 6);
}

TEST_CASE("the body's id: below the address for POST, a repetition for PUT") {
    const Tree tree = tree_of({"/g/a"});
    CHECK(update(tree, "/g", R"({"id": "n"})", true).id == "/g/n");
    CHECK(update(tree, "/g", R"({"id": "g"})").id == "/g");
    CHECK(update(tree, "/g", R"({"id": "/g"})").id == "/g");
    CHECK(update(tree, "/", R"({"id": "/n/m"})").id == "/n/m");
    CHECK(problem(tree, "/g", R"({"id": "/h"})").details[0].path == "/id");
    CHECK(problem(tree, "/", R"({"id": "/G"})").status == 422);
}

TEST_CASE("apps keep their versions, which tell the leader what has changed") {
    Tree tree = tree_of({"/g/a"});
    tree.apps["/g/a"].set_version_ms(5);
    tree.apps["/g/a"].set_config_version_ms(4);
    const auto changed =
        update(tree, "/g", R"({"apps": [{"id": "a", "cmd": "new"}, {"id": "b", "cmd": "new"}]})");
    CHECK(changed.tree.apps.at("/g/a").config_version_ms() == 4);
    CHECK(changed.tree.apps.at("/g/b").version_ms() == 0);
}

TEST_CASE("what exists is not created again") {
    const Tree tree = tree_of({"/g/a", "/h/"});
    const Problem group = problem(tree, "/", R"({"id": "/g"})", true);
    CHECK(group.status == 409);
    CHECK(group.message == "Group /g is already created. Use PUT to change this group.");
    CHECK(problem(tree, "/", R"({"id": "/h"})", true).status == 409);
    const Problem app = problem(tree, "/", R"({"id": "/g/a"})", true);
    CHECK(app.message == "An app with the path /g/a already exists.");
}

TEST_CASE("scaleBy and version stand alone") {
    Tree tree = tree_of({"/g/a", "/g/h/b", "/c"});
    tree.apps["/g/a"].set_instances(3);
    const auto scaled = update(tree, "/g", R"({"scaleBy": 1.5})");
    CHECK(scaled.kind == GroupUpdate::Kind::kScale);
    CHECK(scaled.tree.apps.at("/g/a").instances() == 5);
    CHECK(scaled.tree.apps.at("/g/h/b").instances() == 2);
    CHECK(scaled.tree.apps.at("/c").instances() == 1);
    CHECK(update(tree, "/g", R"({"scaleBy": 0})").tree.apps.at("/g/a").instances() == 0);
    CHECK(problem(tree, "/g", R"({"scaleBy": 2, "apps": []})").details[0].path == "/scaleBy");
    CHECK(problem(tree, "/none", R"({"scaleBy": 2})").status == 404);
    CHECK(problem(tree, "/g", R"({"scaleBy": "2"})").status == 400);
    const auto back = update(tree, "/g", R"({"version": "1970-01-01T00:00:02Z"})");
    CHECK(back.kind == GroupUpdate::Kind::kRollback);
    CHECK(back.version_ms == 2000);
    CHECK(problem(tree, "/g", R"({"version": "1970-01-01T00:00:02Z", "groups": []})").status == 422);
    CHECK(problem(tree, "/g", R"({"version": "x"})").status == 422);
}

TEST_CASE("wrong groups name the place") {
    const Tree tree = tree_of({"/g/a"});
    const auto place = [&](std::string_view text) { return problem(tree, "/g", text).details[0].path; };
    CHECK(place(R"({"apps": [{"id": "x", "cmd": "run"}, {"id": "X", "cmd": "run"}]})") == "/apps(1)/id");
    CHECK(place(R"({"apps": [{"id": "/h/x", "cmd": "run"}]})") == "/apps(0)/id");
    CHECK(place(R"({"apps": [{"id": "x/y", "cmd": "run"}]})") == "/apps(0)/id");
    CHECK(place(R"({"apps": [{"id": "x", "cmd": "run"}, {"id": "x", "cmd": "run"}]})") == "/apps(1)/id");
    CHECK(place(R"({"groups": [{"id": "x", "apps": [{"id": "y", "cmd": "run", "cpus": -1}]}]})") ==
          "/groups(0)/apps(0)/cpus");
    CHECK(place(R"({"groups": [{}]})") == "/groups(0)/id");
    CHECK(place(R"({"groups": [{"id": "/h"}]})") == "/groups(0)/id");
    CHECK(place(R"({"groups": [{"id": "x"}, {"id": "x"}]})") == "/groups(1)/id");
    CHECK(place(R"({"dependencies": ["/g"]})") == "/dependencies(0)");
    CHECK(place(R"({"apps": {}})") == "/apps");
    CHECK(place(R"({"groups": [{"id": "a"}]})") == "/");
    CHECK(problem(tree, "/", R"({"apps": [{"id": "g", "cmd": "run"}]})")
              .to_string()
              .contains("share the path /g"));
    std::string deep = R"({"id": "x"})";
    for (size_t i = 0; i < kGroupDepthMax; ++i) deep = R"({"id": "x", "groups": [)" + deep + "]}";
    CHECK(problem({}, "/", R"({"groups": [)" + deep + "]}").to_string().contains("nested 16 deep"));
}

TEST_CASE("cycles of dependencies are refused, also by way of groups") {
    CHECK(problem({}, "/", R"({"apps": [{"id": "a", "cmd": "run", "dependencies": ["b"]},
                                        {"id": "b", "cmd": "run", "dependencies": ["a"]}]})")
              .to_string()
              .contains("/a, /b"));
    CHECK(problem({}, "/", R"({"groups": [
        {"id": "x", "dependencies": ["../y"], "apps": [{"id": "a", "cmd": "run"}]},
        {"id": "y", "apps": [{"id": "b", "cmd": "run", "dependencies": ["/x/a"]}]}]})")
              .to_string()
              .contains("cyclic"));
}

TEST_CASE("groups are printed nested, those without a row of their own, too") {
    const Tree tree = tree_of({"/g/x/a", "/b", "/e/"});
    const AppPrinter print = [](const wire::AppDefinition& app) { return Json(app.id()); };
    CHECK(
        group_to_json(tree, "/", {}, print)->dump() ==
        R"({"id":"/","dependencies":[],"version":"1970-01-01T00:00:00.000Z","apps":["/b"],"groups":[)"
        R"({"id":"/e","dependencies":[],"version":"1970-01-01T00:00:00.000Z","apps":[],"groups":[],"pods":[]},)"
        R"({"id":"/g","dependencies":[],"version":"1970-01-01T00:00:00.000Z","apps":[],"groups":[)"
        R"({"id":"/g/x","dependencies":[],"version":"1970-01-01T00:00:00.000Z","apps":["/g/x/a"],"groups":[],"pods":[]}],)"
        R"("pods":[]}],"pods":[]})");
    CHECK(group_to_json(tree, "/g", {false, true}, print)->find("groups")->as_array().empty());
    CHECK_FALSE(group_to_json(tree, "/none", {}, print));
    CHECK_FALSE(group_to_json(tree, "/b", {}, print));
    Tree whole = tree;
    ensure_parents(whole, 7);
    CHECK(ids(whole) == "/b /g/x/a | / /e /g /g/x");
    CHECK(ids(*without_group(whole, "/g")) == "/b | / /e");
    CHECK(without_group(whole, "/")->apps.empty());
    CHECK_FALSE(without_group(whole, "/none"));
}

}  // namespace
}  // namespace smackd::marathon
