// /v2: applications through the door, and who may what there.
#include <algorithm>

#include "services/api/routes.h"
#include "storage/state/limits.h"
#include "tests/unit/services/api/world.h"

using namespace smackd;
using core::Json;
using test::Answer;
using test::ApiWorld;

namespace {

constexpr const char* kWeb = R"({"id": "/a/web", "cmd": "sleep 1", "instances": 2})";

/// ann may view, launch, change and kill below /a, in the network of the node, too, and nothing else.
void let_ann_in(ApiWorld& world) {
    REQUIRE(world.as("admin", "PUT", "/smack/v1/users/ann", "{}").status == 200);
    REQUIRE(
        world
            .as("admin", "PUT", "/smack/v1/rules/ann",
                R"({"subject":"user:ann","actions":["view","launch","change","kill","host"],"tenant":"*","path":"/a"})")
            .status == 200);
}

std::string of_message(const Answer& answer) {
    return answer.json()["message"].as_string();
}

}  // namespace

TEST_CASE("an app is added, shown, changed and removed") {
    ApiWorld world;
    const Answer added = world.as("admin", "POST", "/v2/apps", kWeb);
    INFO(added.body);
    REQUIRE(added.status == 201);
    CHECK(added.headers.get("Location") == "/v2/apps/a/web");
    CHECK(added.headers.has("Marathon-Deployment-Id"));
    CHECK(added.json()["deployments"].as_array().size() == 1);
    CHECK(world.as("admin", "POST", "/v2/apps", kWeb).status == 409);

    for (const char* prefix :
         {"/v2/apps/a/web", "/marathon/v2/apps/a/web", "/service/marathon/v2/apps//a/web"}) {
        const Answer shown = world.as("admin", "GET", prefix);
        REQUIRE(shown.status == 200);
        CHECK(shown.json()["app"]["id"].as_string() == "/a/web");
        CHECK(shown.json()["app"]["instances"].as_integer() == 2);
    }
    const Answer locked = world.as("admin", "PUT", "/v2/apps/a/web", R"({"instances": 3})");
    CHECK(locked.status == 409);
    CHECK(locked.json()["deployments"].as_array().size() == 1);
    const Answer scaled = world.as("admin", "PUT", "/v2/apps/a/web?force=true", R"({"instances": 3})");
    INFO(scaled.body);
    CHECK(scaled.status == 200);
    CHECK(scaled.json()["deploymentId"].is_string());
    CHECK(world.as("admin", "GET", "/v2/apps/a/web").json()["app"]["cmd"].as_string() == "sleep 1");
    CHECK(world.as("admin", "GET", "/v2/apps/a/web/versions").json()["versions"].as_array().size() == 2);
    CHECK(world.as("admin", "GET", "/v2/deployments").json().as_array().size() == 1);

    CHECK(world.as("admin", "DELETE", "/v2/apps/a/web").status == 200);
    const Answer gone = world.as("admin", "GET", "/v2/apps/a/web");
    CHECK(gone.status == 404);
    CHECK(of_message(gone) == "App '/a/web' does not exist");
}

TEST_CASE("a deployment that ends just before it would be cancelled is not in the way") {
    ApiWorld world;
    const Answer added = world.as("admin", "POST", "/v2/apps", kWeb);
    const std::string deployment(added.headers.get("Marathon-Deployment-Id"));
    world.state->meanwhile = [&] {
        wire::Command end;
        end.set_feature_level(storage::state::kLevelOfApps);
        end.mutable_actor()->set_kind(wire::Actor::SYSTEM);
        end.add_changes()->mutable_remove_deployment()->set_id(deployment);
        REQUIRE(world.state->apply(std::move(end)).code() == 0);
    };
    const Answer scaled = world.as("admin", "PUT", "/v2/apps/a/web?force=true", R"({"instances": 3})");
    INFO(scaled.body);
    CHECK(scaled.status == 200);
    CHECK(world.as("admin", "GET", "/v2/apps/a/web").json()["app"]["instances"].as_integer() == 3);
}

TEST_CASE("what is hardly meant is accepted and told") {
    ApiWorld world;
    let_ann_in(world);
    const std::string one = R"({"id": "/b/one", "cmd": "sleep 1", "labels": {"HAPROXY_GROUP": "internal"},
        "ports": [10100], "requirePorts": false})";
    const Answer plain = world.as("admin", "POST", "/v2/apps", one);
    INFO(plain.body);
    REQUIRE(plain.status == 201);
    CHECK_FALSE(plain.json()["warnings"].is_array());
    const std::string members =
        R"("cmd": "sleep 1", "ports": [10100], "dependencies": ["/b/one", "/nowhere"], )"
        R"("labels": {"HAPROXY_GROUP": "internal", "HAPROXY_0_BACKEND_HTTP_OPTIONS": "option foo"}})";
    const Answer added = world.as("admin", "POST", "/v2/apps", R"({"id": "/b/two", )" + members);
    INFO(added.body);
    REQUIRE(added.status == 201);
    const Json told = added.json()["warnings"];
    REQUIRE(told.as_array().size() == 3);
    CHECK(told.as_array()[0].as_string().starts_with("label HAPROXY_0_BACKEND_HTTP_OPTIONS "));
    CHECK(told.as_array()[1].as_string() == "dependency /nowhere does not exist: it is not waited for");
    CHECK(told.as_array()[2].as_string() ==
          "service port 10100 is that of /b/one, too: requests go to either");
    const Answer again = world.as("admin", "PUT", "/v2/apps/b/two?force=true", R"({"cmd": "sleep 2"})");
    CHECK(again.json()["warnings"].as_array().size() == 3);
    CHECK(world.as("ann", "PUT", "/v2/apps/a/three", "{" + members).status == 403);
}

TEST_CASE("a rollback brings a version back") {
    ApiWorld world;
    REQUIRE(world.as("admin", "POST", "/v2/apps", kWeb).status == 201);
    const std::string first = world.as("admin", "GET", "/v2/apps/a/web").json()["app"]["version"].as_string();
    REQUIRE(world.as("admin", "PUT", "/v2/apps/a/web?force=true", R"({"cmd": "sleep 2"})").status == 200);
    REQUIRE(
        world.as("admin", "PUT", "/v2/apps/a/web?force=true", R"({"version": ")" + first + R"("})").status ==
        200);
    CHECK(world.as("admin", "GET", "/v2/apps/a/web").json()["app"]["cmd"].as_string() == "sleep 1");
    CHECK(world.as("admin", "PUT", "/v2/apps/a/web?force=true", R"({"version": "2001-01-01T00:00:00.000Z"})")
              .status == 404);
}

TEST_CASE("wrong definitions are refused in Marathon's form, and change nothing") {
    ApiWorld world;
    const Answer no_json = world.as("admin", "POST", "/v2/apps", "{");
    CHECK(no_json.status == 400);
    CHECK(of_message(no_json) == "Invalid JSON");
    const Answer wrong =
        world.as("admin", "POST", "/v2/apps",
                 R"({"id": "/a/web", "cmd": "x1", "upgradeStrategy": {"minimumHealthCapacity": 2}})");
    CHECK(wrong.status == 422);
    CHECK(wrong.json()["details"].as_array().at(0)["path"].as_string() ==
          "/upgradeStrategy/minimumHealthCapacity");
    CHECK(world.as("admin", "GET", "/v2/apps").json()["apps"].as_array().empty());
    CHECK(world.as("admin", "GET", "/v2/apps?label=(").status == 422);
    CHECK(world.as("admin", "GET", "/v2/events").status == 405);
}

TEST_CASE("lists are narrowed by what is asked and by what may be seen") {
    ApiWorld world;
    let_ann_in(world);
    REQUIRE(world
                .as("admin", "POST", "/v2/apps",
                    R"({"id": "/a/web", "cmd": "sleep 1", "labels": {"tier": "front"}})")
                .status == 201);
    REQUIRE(world
                .as("admin", "POST", "/v2/apps",
                    R"({"id": "/b/db", "cmd": "sleep 2", "labels": {"tier": "back"}})")
                .status == 201);
    const auto count = [&](const std::string& who, const std::string& query) {
        return world.as(who, "GET", "/v2/apps" + query).json()["apps"].as_array().size();
    };
    CHECK(count("admin", "") == 2);
    CHECK(count("admin", "?label=tier%3D%3Dfront") == 1);
    CHECK(count("admin", "?label=tier") == 2);
    CHECK(count("admin", "?label=tier%20notin%20(front)") == 1);
    CHECK(count("admin", "?cmd=SLEEP%202") == 1);
    CHECK(count("admin", "?id=web") == 1);
    CHECK(count("ann", "") == 1);
    CHECK(world.as("ann", "GET", "/v2/apps/a/*").json()["*"].as_array().size() == 1);
    CHECK(world.as("ann", "GET", "/v2/apps/b/*").json()["*"].as_array().empty());
    CHECK(world.as("ann", "GET", "/v2/deployments").json().as_array().size() == 1);
}

TEST_CASE("a right on a path is one on that path, however it is written") {
    ApiWorld world;
    let_ann_in(world);
    REQUIRE(world.as("admin", "POST", "/v2/apps", R"({"id": "/b/db", "cmd": "sleep 2"})").status == 201);
    CHECK(world.as("ann", "POST", "/v2/apps", R"({"id": "/a/new", "cmd": "sleep 1"})").status == 201);
    for (const char* id : {"/b/new", "b/new", "//b/new", "/a/../b/new", "/ab", "/b/db"}) {
        const Answer refused =
            world.as("ann", "POST", "/v2/apps", std::string(R"({"id": ")") + id + R"(", "cmd": "sleep 1"})");
        INFO(id << " " << refused.body);
        CHECK((refused.status == 403 || refused.status == 422));
    }
    for (const char* path :
         {"/v2/apps/b/db", "/v2/apps//b/db", "/v2/apps/b%2Fdb", "/v2/apps/b//db/", "/v2/apps/%2Fb%2Fdb"}) {
        CHECK(world.as("ann", "GET", path).status == 403);
        CHECK(world.as("ann", "PUT", std::string(path) + "?force=true", R"({"instances": 9})").status == 403);
        CHECK(world.as("ann", "DELETE", path).status == 403);
    }
    CHECK(world
              .as("ann", "PUT", "/v2/apps?force=true",
                  R"([{"id": "/a/new", "instances": 2}, {"id": "/b/db", "instances": 9}])")
              .status == 403);
    CHECK(world.as("ann", "GET", "/v2/apps/a/new").json()["app"]["instances"].as_integer() == 1);
    CHECK(world.as("admin", "GET", "/v2/apps/b/db").json()["app"]["instances"].as_integer() == 1);
}

// Every route there is, also one that is added tomorrow: who has no rule gets nothing from it.
TEST_CASE("without a rule every route of Marathon's is refused") {
    ApiWorld world;
    REQUIRE(world.as("admin", "POST", "/v2/apps", kWeb).status == 201);
    size_t tried = 0;
    for (const services::Route& route : services::routes()) {
        if (route.errors != services::ErrorForm::kMarathon) continue;
        std::string path(route.pattern);
        for (const auto& [brace, value] : {std::pair{"{id...}", "a/web"},
                                           {"{id}", "x"},
                                           {"{version}", "2001-01-01T00:00:00.000Z"},
                                           {"{task}", "a_web.instance-1._app.1"}}) {
            if (const size_t at = path.find(brace); at != std::string::npos)
                path.replace(at, std::string_view(brace).size(), value);
        }
        const bool reads = route.method == "GET" || route.method == "DELETE";
        const Answer answer = world.as("alice", std::string(route.method), path, reads ? "" : "{}",
                                       {{"Accept", "text/event-stream"}});
        INFO(route.method << " " << path << " " << answer.status << " " << answer.body);
        CHECK(answer.status == 403);
        CHECK_FALSE(answer.body.contains("sleep"));
        ++tried;
    }
    CHECK(tried > 20);
    CHECK(world.as("admin", "GET", "/v2/apps/a/web").json()["app"]["instances"].as_integer() == 2);
}

TEST_CASE("Marathon's events tell of an app and its deployment") {
    ApiWorld world;
    const std::string before = world.hub.head().to_string();
    REQUIRE(world.as("admin", "POST", "/v2/apps", kWeb).status == 201);
    const std::string text =
        world.stream("admin", "/v2/events", {{"Accept", "text/event-stream"}, {"Last-Event-ID", before}},
                     [](const std::string& so_far) { return so_far.contains("deployment_info"); });
    CHECK(text.contains("event: event_stream_attached"));
    CHECK(text.contains("event: api_post_event"));
    CHECK(text.contains("\"eventType\":\"deployment_info\""));
}
