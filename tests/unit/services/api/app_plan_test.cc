// POST /smack/v1/apps/plan: what would change, to whom it is told, and that nothing does.
#include "tests/unit/services/api/world.h"

using namespace smackd;
using core::Json;
using test::Answer;
using test::ApiWorld;

namespace {

constexpr const char* kPlan = "/smack/v1/apps/plan";
constexpr const char* kWeb = R"({"id": "/a/web", "cmd": "sleep 1", "instances": 2})";

void let_in(ApiWorld& world, const std::string& user, const std::string& actions,
            const std::string& path = "/a") {
    REQUIRE(world.as("admin", "PUT", "/smack/v1/users/" + user, "{}").status == 200);
    REQUIRE(world
                .as("admin", "PUT", "/smack/v1/rules/" + user,
                    R"({"subject":"user:)" + user + R"(","actions":[)" + actions +
                        R"(],"tenant":"*","path":")" + path + R"("})")
                .status == 200);
}

std::string of_message(const Answer& answer) {
    return answer.json()["message"].as_string();
}

Json plan(ApiWorld& world, const std::string& body, const std::string& query = "") {
    const Answer answer = world.as("admin", "POST", kPlan + query, body);
    INFO(answer.body);
    REQUIRE(answer.status == 200);
    return answer.json();
}

}  // namespace

TEST_CASE("a plan of a new app, of changes of each kind, and of none") {
    ApiWorld world;
    const Json created = plan(world, kWeb);
    CHECK(created["effect"].as_string() == "create");
    CHECK(created["tasks"]["wanted"].as_integer() == 2);
    CHECK(created["definition"]["cmd"].as_string() == "sleep 1");
    CHECK(created["steps"].as_array().size() == 2);
    CHECK(world.as("admin", "GET", "/v2/apps/a/web").status == 404);
    CHECK(world.as("admin", "GET", "/v2/deployments").json().as_array().empty());
    REQUIRE(world.as("admin", "POST", "/v2/apps", kWeb).status == 201);

    const Answer locked = world.as("admin", "POST", kPlan, R"({"id": "/a/web", "cmd": "sleep 2"})");
    CHECK(locked.status == 409);
    CHECK(locked.json()["deployments"].as_array().size() == 1);
    const Json changed = plan(world, R"({"id": "/a/web", "cmd": "sleep 2"})", "?force=true");
    CHECK(changed["effect"].as_string() == "restart");
    REQUIRE(changed["changes"].as_array().size() == 1);
    CHECK(changed["changes"].as_array()[0].dump() ==
          R"({"path":"/cmd","old":"sleep 1","new":"sleep 2","restarts":true})");
    CHECK(plan(world, R"({"id": "/a/web", "instances": 3})", "?force=true")["effect"].as_string() == "scale");
    CHECK(plan(world, R"({"id": "/a/web", "labels": {"a": "b"}})", "?force=true")["effect"].as_string() ==
          "describe");
    const Json same = plan(world, kWeb);
    CHECK(same["effect"].as_string() == "none");
    CHECK(same["changes"].as_array().empty());
    CHECK(world.as("admin", "GET", "/v2/deployments").json().as_array().size() == 1);
    CHECK(world.as("admin", "GET", "/v2/apps/a/web/versions").json()["versions"].as_array().size() == 1);
}

TEST_CASE("a plan is refused as the real call is") {
    ApiWorld world;
    for (const char* body :
         {R"({"id": "/a/web"})", R"({"id": "/A/web", "cmd": "run"})", R"({"cmd": "run"})",
          R"({"id": "/x", "cmd": "run", "cpus": -1})", R"({"id": 5, "cmd": "run"})", "[1]", "{"}) {
        const Answer real = world.as("admin", "POST", "/v2/apps", body);
        const Answer asked = world.as("admin", "POST", kPlan, body);
        INFO(body);
        CHECK(asked.status == real.status);
        CHECK(asked.body == real.body);
    }
    CHECK(world.as("admin", "POST", kPlan, R"({"id": "/a/web", "version": "2020-01-01T00:00:00.000Z"})")
              .status == 422);
}

TEST_CASE("a plan takes view, and launch or change, and tells nothing to others") {
    ApiWorld world;
    let_in(world, "ann", R"("view","launch","change","host")");
    let_in(world, "bob", R"("launch","change","host")");
    let_in(world, "cat", R"("view")");
    let_in(world, "dan", R"("view","launch","host")");
    REQUIRE(world.as("admin", "POST", "/v2/apps", kWeb).status == 201);
    const std::string there = R"({"id": "/a/web", "cmd": "sleep 2"})";
    const std::string nowhere = R"({"id": "/a/new", "cmd": "sleep 2"})";
    CHECK(world.as("ann", "POST", std::string(kPlan) + "?force=true", there).status == 200);
    CHECK(world.as("ann", "POST", kPlan, nowhere).status == 200);
    for (const char* user : {"bob", "cat"}) {
        CHECK(world.as(user, "POST", kPlan, there).status == 403);
        CHECK(world.as(user, "POST", kPlan, nowhere).status == 403);
    }
    CHECK(world.as("dan", "POST", kPlan, there).status == 403);
    CHECK(world.as("dan", "POST", kPlan, nowhere).status == 200);
    CHECK(world.as("ann", "POST", kPlan, R"({"id": "/b/web", "cmd": "sleep 2"})").status == 403);
}

TEST_CASE("rights on the node and names of others are refused in apply's words") {
    ApiWorld world;
    let_in(world, "ann", R"("view","launch","change")");
    REQUIRE(
        world
            .as("admin", "POST", "/v2/apps",
                R"({"id": "/b/web", "cmd": "run", "labels": {"HAPROXY_GROUP": "external", "HAPROXY_0_VHOST": "b.example"}})")
            .status == 201);
    for (
        const char* body :
        {R"({"id": "/a/x", "cmd": "run", "networks": [{"mode": "host"}]})",
         R"({"id": "/a/x", "cmd": "run", "networks": [{"mode": "container/bridge"}], "container": {"type": "MESOS", "portMappings": [{"containerPort": 80}]},
             "labels": {"HAPROXY_GROUP": "external", "HAPROXY_0_VHOST": "b.example"}})"}) {
        const Answer asked = world.as("ann", "POST", kPlan, body);
        const Answer real = world.as("ann", "POST", "/v2/apps", body);
        INFO(body);
        INFO(asked.body);
        CHECK(asked.status == 403);
        CHECK(real.status == 403);
        CHECK(of_message(asked) == of_message(real));
        CHECK_FALSE(of_message(asked).contains("/b/web"));
    }
}
