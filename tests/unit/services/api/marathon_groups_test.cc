// /v2/groups: apps by their path, shown, made, replaced, scaled, taken back and removed together.
#include "tests/unit/services/api/world.h"

using namespace smackd;
using core::Json;
using test::Answer;
using test::ApiWorld;

namespace {

constexpr const char* kShop =
    R"({"id": "/shop", "apps": [{"id": "web", "cmd": "sleep 1", "dependencies": ["db/sql"]}],
    "groups": [{"id": "db", "apps": [{"id": "sql", "cmd": "sleep 2", "instances": 2}]}]})";

std::string ids_of(const Json& list) {
    std::string ids;
    for (const Json& one : list.as_array()) ids += one["id"].as_string() + " ";
    return ids;
}

std::string apps_of(ApiWorld& world, const std::string& who = "admin") {
    return ids_of(world.as(who, "GET", "/v2/apps").json()["apps"]);
}

std::string message_of(const Answer& answer) {
    return answer.json()["message"].as_string();
}

void make_shop(ApiWorld& world) {
    const Answer made = world.as("admin", "POST", "/v2/groups", kShop);
    INFO(made.body);
    REQUIRE(made.status == 201);
    CHECK(made.headers.get("Location") == "/v2/groups/shop");
    CHECK(made.headers.get("Marathon-Deployment-Id") == made.json()["deploymentId"].as_string());
}

}  // namespace

TEST_CASE("a group is made with its apps in one deployment, in the order of their dependencies") {
    ApiWorld world;
    make_shop(world);
    CHECK(apps_of(world) == "/shop/db/sql /shop/web ");
    const Json deployments = world.as("admin", "GET", "/v2/deployments").json();
    REQUIRE(deployments.as_array().size() == 1);
    const Json::Array& steps = deployments.as_array()[0]["steps"].as_array();
    REQUIRE(steps.size() == 3);
    CHECK(steps[1]["actions"].as_array()[0]["app"].as_string() == "/shop/db/sql");
    CHECK(steps[2]["actions"].as_array()[0]["app"].as_string() == "/shop/web");

    const Json shown = world.as("admin", "GET", "/v2/groups/shop").json();
    CHECK(shown["id"].as_string() == "/shop");
    CHECK(ids_of(shown["apps"]) == "/shop/web ");
    CHECK(ids_of(shown["groups"]) == "/shop/db ");
    CHECK(shown["apps"].as_array()[0]["tasksRunning"].as_integer() == 0);
    CHECK(shown["pods"].is_array());
    CHECK(ids_of(world.as("admin", "GET", "/v2/groups").json()["groups"]) == "/shop ");
    CHECK(world.as("admin", "GET", "/v2/groups/shop?embed=group.groups").json()["apps"].as_array().empty());
    CHECK(ids_of(world.as("admin", "GET", "/v2/groups/shop/apps").json()) == "/shop/db/sql /shop/web ");
    CHECK(ids_of(world.as("admin", "GET", "/marathon/v2/groups/shop/db/apps").json()) == "/shop/db/sql ");

    const Answer again = world.as("admin", "POST", "/v2/groups", kShop);
    CHECK(again.status == 409);
    CHECK(message_of(again) == "Group /shop is already created. Use PUT to change this group.");
    CHECK(world.as("admin", "POST", "/v2/groups", R"({"id": "/shop/web"})").status == 409);
    CHECK(world.as("admin", "GET", "/v2/groups/none").status == 404);
    CHECK(message_of(world.as("admin", "GET", "/v2/groups/none")) == "Group '/none' does not exist");
}

TEST_CASE("a group is replaced where lists are given, scaled, and what it would take can be asked before") {
    ApiWorld world;
    make_shop(world);
    CHECK(world.as("admin", "PUT", "/v2/groups/shop", R"({"scaleBy": 2})").status == 409);
    const Answer asked =
        world.as("admin", "PUT", "/v2/groups/shop?dryRun=true&force=true", R"({"scaleBy": 2})");
    CHECK(asked.status == 200);
    CHECK(asked.json()["steps"].as_array().size() == 2);
    const auto instances = [&] {
        return world.as("admin", "GET", "/v2/apps/shop/db/sql").json()["app"]["instances"].as_integer();
    };
    CHECK(instances() == 2);
    const Answer scaled = world.as("admin", "PUT", "/v2/groups/shop?force=true", R"({"scaleBy": 2})");
    INFO(scaled.body);
    CHECK(scaled.status == 200);
    CHECK(scaled.json()["version"].is_string());
    CHECK(instances() == 4);
    CHECK(world
              .as("admin", "PUT", "/v2/groups/shop?force=true",
                  R"({"apps": [{"id": "api", "cmd": "sleep 3"}]})")
              .status == 200);
    CHECK(apps_of(world) == "/shop/api /shop/db/sql ");
    CHECK(world.as("admin", "PUT", "/v2/groups/none", R"({"scaleBy": 2})").status == 404);
    CHECK(world
              .as("admin", "PUT", "/v2/groups/shop?force=true",
                  R"({"apps": [{"id": "/other/x", "cmd": "sleep 3"}]})")
              .status == 422);
    CHECK(world.as("admin", "PUT", "/v2/groups/shop", "[").status == 400);
    CHECK(world.as("admin", "DELETE", "/v2/groups/shop/db?force=true").status == 200);
    CHECK(apps_of(world) == "/shop/api ");
    CHECK(world.as("admin", "DELETE", "/v2/groups/shop/db").status == 404);
    CHECK(world.as("admin", "DELETE", "/v2/groups?force=true").status == 200);
    CHECK(apps_of(world).empty());
}

TEST_CASE("the versions of a group are those of its apps, and it goes back to one") {
    ApiWorld world;
    make_shop(world);
    const auto versions = [&] { return world.as("admin", "GET", "/v2/groups/shop/versions").json(); };
    REQUIRE(versions().as_array().size() == 1);
    const std::string first = versions().as_array()[0].as_string();
    REQUIRE(world
                .as("admin", "PUT", "/v2/groups/shop?force=true",
                    R"({"apps": [{"id": "web", "cmd": "sleep 9"}, {"id": "api", "cmd": "sleep 3"}]})")
                .status == 200);
    CHECK(versions().as_array().size() == 2);
    const Json then = world.as("admin", "GET", "/v2/groups/shop/versions/" + first).json();
    CHECK(ids_of(then["apps"]) == "/shop/web ");
    CHECK(then["apps"].as_array()[0]["cmd"].as_string() == "sleep 1");
    CHECK(world.as("admin", "GET", "/v2/groups/versions/" + first).status == 200);
    CHECK(world.as("admin", "GET", "/v2/groups/shop/versions/2001-01-01T00:00:00.000Z").status == 404);
    CHECK(world.as("admin", "GET", "/v2/groups/shop/versions/soon").status == 422);

    const Answer back =
        world.as("admin", "PUT", "/v2/groups/shop?force=true", R"({"version": ")" + first + R"("})");
    INFO(back.body);
    CHECK(back.status == 200);
    CHECK(apps_of(world) == "/shop/db/sql /shop/web ");
    CHECK(world.as("admin", "GET", "/v2/apps/shop/web").json()["app"]["cmd"].as_string() == "sleep 1");
    CHECK(world.as("admin", "PUT", "/v2/groups/shop?force=true", R"({"version": "2001-01-01T00:00:00.000Z"})")
              .status == 404);
    CHECK(world
              .as("admin", "PUT", "/v2/groups/shop?force=true",
                  R"({"version": ")" + first + R"(", "apps": []})")
              .status == 422);
}

TEST_CASE("enforceRole alone is patched, of top-level groups") {
    ApiWorld world;
    make_shop(world);
    CHECK(world.as("admin", "PATCH", "/v2/groups/shop", R"({"enforceRole": true})").status == 200);
    CHECK(world.as("admin", "GET", "/v2/groups/shop").json()["enforceRole"].as_bool());
    CHECK(world.as("admin", "PATCH", "/v2/groups/shop/db", R"({"enforceRole": true})").status == 422);
    CHECK(world.as("admin", "PATCH", "/v2/groups/shop", R"({"scaleBy": 2})").status == 422);
    CHECK(world.as("admin", "PATCH", "/v2/groups/none", R"({"enforceRole": true})").status == 404);
}

TEST_CASE("of groups everybody sees and changes what a rule gives") {
    ApiWorld world;
    make_shop(world);
    REQUIRE(
        world.as("admin", "POST", "/v2/groups", R"({"id": "/a", "apps": [{"id": "x", "cmd": "sleep 1"}]})")
            .status == 201);
    REQUIRE(world.as("admin", "PUT", "/smack/v1/users/ann", "{}").status == 200);
    REQUIRE(
        world
            .as("admin", "PUT", "/smack/v1/rules/ann",
                R"({"subject":"user:ann","actions":["view","launch","change","kill","host"],"path":"/a"})")
            .status == 200);
    CHECK(ids_of(world.as("ann", "GET", "/v2/groups").json()["groups"]) == "/a ");
    CHECK(world.as("ann", "GET", "/v2/groups/shop").status == 403);
    CHECK(ids_of(world.as("ann", "GET", "/v2/groups/apps").json()) == "/a/x ");
    CHECK(world.as("ann", "PUT", "/v2/groups?force=true", R"({"groups": []})").status == 403);
    CHECK(world.as("ann", "PUT", "/v2/groups?force=true", R"({"id": "/shop", "scaleBy": 0})").status == 403);
    CHECK(world.as("ann", "DELETE", "/v2/groups?force=true").status == 403);
    const Answer made =
        world.as("ann", "POST", "/v2/groups/a", R"({"id": "b", "apps": [{"id": "y", "cmd": "sleep 1"}]})");
    INFO(made.body);
    CHECK(made.status == 201);
    CHECK(world.as("ann", "DELETE", "/v2/groups/a?force=true").status == 200);
    CHECK(apps_of(world) == "/shop/db/sql /shop/web ");
}
