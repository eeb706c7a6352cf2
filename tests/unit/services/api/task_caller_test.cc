// Tasks as callers: by their sockets and by their tokens, what they may and what ends it.
#include "auth/identity.h"
#include "services/api/routes.h"
#include "storage/state/limits.h"
#include "tests/unit/services/api/world.h"

using namespace smackd;
using core::Json;
using test::Answer;
using test::ApiWorld;

namespace {

constexpr core::NodeId kOne{1};
constexpr core::NodeId kTwo{2};
const std::string kWeb = "team-a_web.instance-00000000-0000-0000-0000-000000000001._app.1";
const std::string kCommon = "common_x.instance-00000000-0000-0000-0000-000000000002._app.1";

/// Tenants team-a and team-b with an app each, /team-a/db and two common apps; a task of /team-a/web on node
/// 1, one of /common/x on node 2.
class TaskWorld : public ApiWorld {
 public:
    TaskWorld() {
        for (const auto& [tenant, path] : {std::pair{"team-a", "/team-a"}, {"team-b", "/team-b"}}) {
            const Answer made = as("admin", "PUT", std::format("/smack/v1/tenants/{}", tenant),
                                   std::format(R"({{"paths": ["{}"]}})", path));
            REQUIRE(made.status == 200);
        }
        for (const char* app : {"/team-a/web", "/team-a/db", "/team-b/web", "/common/x", "/common/y"}) {
            const Answer made = as(
                "admin", "POST", "/v2/apps",
                std::format(
                    R"({{"id": "{}", "cmd": "sleep 1", "networks": [{{"mode": "container/bridge"}}], "env": {{"SECRET": "{}"}}}})",
                    app, app));
            INFO(made.body);
            REQUIRE(made.status == 201);
        }
        for (const core::NodeId node : {kOne, kTwo}) {
            wire::Command rows = system();
            auto* row = rows.add_changes()->mutable_put_node();
            row->set_node_id(node.value);
            row->set_machine("n1");
            row->set_address("10.0.0.1:5055");
            apply(std::move(rows));
            wire::Command room = system();
            auto* capacity = room.add_changes()->mutable_put_node_capacity()->mutable_capacity();
            capacity->set_node_id(node.value);
            capacity->mutable_total()->set_cpus_milli(4000);
            apply(std::move(room));
        }
        launch(kWeb, "/team-a/web", kOne);
        launch(kCommon, "/common/x", kTwo);
    }

    Answer by_socket(const std::string& method, const std::string& target, core::NodeId node = kOne,
                     const std::string& task = kWeb, const std::string& body = "") {
        wire::TaskRequest request;
        request.set_task(task);
        request.set_method(method);
        request.set_target(target);
        request.set_body(body);
        if (!body.empty()) {
            wire::HttpField* field = request.add_fields();
            field->set_name("Content-Type");
            field->set_value("application/json");
        }
        auto answered = net::block_on(loop, api->answer_task(node, std::move(request)));
        if (!answered) return {0, {}, answered.error().to_string()};
        Answer answer;
        answer.status = static_cast<int>(answered->status());
        for (const wire::HttpField& field : answered->fields())
            answer.headers.add(field.name(), field.value());
        answer.body = answered->body();
        return answer;
    }
    core::Result<wire::TaskToken> token_for(const std::string& task, core::NodeId node) {
        return net::block_on(loop, api->task_token(node, task));
    }
    Answer by_token(const std::string& method, const std::string& target, const std::string& token) {
        return send(method, target, {{"Authorization", "Bearer " + token}});
    }
    void end(const std::string& task) {
        wire::Command made = system();
        auto* update = made.add_changes()->mutable_update_task_status();
        update->set_task_id(task);
        update->mutable_status()->set_state(wire::TASK_FINISHED);
        apply(std::move(made));
    }
    void rule(const std::string& subject, const std::string& actions, const std::string& path) {
        const Answer made =
            as("admin", "PUT", "/smack/v1/rules/r",
               std::format(R"({{"subject": "{}", "actions": [{}], "tenant": "*", "path": "{}"}})", subject,
                           actions, path));
        INFO(made.body);
        REQUIRE(made.status == 200);
    }

 private:
    static wire::Command system() {
        wire::Command made;
        made.set_feature_level(storage::state::kFeatureLevelMax);
        made.mutable_actor()->set_kind(wire::Actor::SYSTEM);
        made.mutable_actor()->set_principal("system");
        return made;
    }
    void apply(wire::Command command) {
        const wire::CommandResult result = state->apply(std::move(command));
        INFO(result.message());
        REQUIRE(result.code() == 0);
    }
    void launch(const std::string& id, const std::string& app, core::NodeId node) {
        wire::Command made = system();
        wire::Task* task = made.add_changes()->mutable_put_task()->mutable_task();
        task->set_id(id);
        task->set_app_id(app);
        task->set_node_id(node.value);
        task->mutable_resources()->set_cpus_milli(100);
        apply(std::move(made));
    }
};

std::vector<std::string> ids_of(const Answer& answer) {
    std::vector<std::string> ids;
    const Json json = answer.json();
    for (const Json& app : json["apps"].as_array()) ids.push_back(app["id"].as_string());
    return ids;
}

}  // namespace

TEST_CASE("by its socket a task reads what its tenant owns, and nothing else") {
    TaskWorld world;
    CHECK(ids_of(world.by_socket("GET", "/v2/apps")) ==
          std::vector<std::string>{"/team-a/db", "/team-a/web"});
    CHECK(world.by_socket("GET", "/v2/apps/team-a/db").status == 200);
    CHECK(world.by_socket("GET", "/service/marathon/v2/apps/team-a/web/tasks")
              .json()["tasks"]
              .as_array()
              .size() == 1);
    CHECK(world.by_socket("GET", "/v2/tasks").json()["tasks"].as_array().size() == 1);
    CHECK(world.by_socket("GET", "/v2/groups/team-a").status == 200);
    const Answer whole = world.by_socket("GET", "/v2/groups");
    CHECK(whole.status == 200);
    const Answer tenants = world.by_socket("GET", "/smack/v1/tenants");
    for (const Answer* answer : {&whole, &tenants}) {
        CHECK_FALSE(answer->body.contains("team-b"));
        CHECK_FALSE(answer->body.contains("common"));
    }
    for (const char* target :
         {"/v2/apps/team-b/web", "/v2/apps/common/x", "/v2/apps/nothing", "/v2/groups/team-b",
          "/v2/groups/common", "/v2/apps/team-b/web/tasks", "/v2/apps/team-b/web/versions",
          "/v2/apps/team-a/..%2Fteam-b/web", "/v2/info", "/v2/leader", "/smack/v1/status", "/smack/v1/nodes",
          "/smack/v1/dns", "/metrics", "/smack/v1/nodes/1/usage"}) {
        const Answer refused = world.by_socket("GET", target);
        INFO(target << " " << refused.body);
        CHECK((refused.status == 403 || refused.status == 0));
    }
    const Json who = world.by_socket("GET", "/smack/v1/whoami").json();
    CHECK(who["principal"].as_string() == "task:" + kWeb);
    CHECK(who["app"].as_string() == "/team-a/web");
    CHECK(who["tenant"].as_string() == "team-a");
    CHECK(who["method"].as_string() == "task socket");
    // A common one its own app.
    CHECK(ids_of(world.by_socket("GET", "/v2/apps", kTwo, kCommon)) == std::vector<std::string>{"/common/x"});
}

TEST_CASE("what is no route of tasks is refused by its socket, whatever a rule says; sign-in too") {
    TaskWorld world;
    world.rule("task:/team-a", R"("admin")", "/");
    for (const services::Route& route : services::routes()) {
        if (route.access == services::Access::kTask) continue;
        std::string target(route.pattern);
        while (target.contains('{'))
            target.replace(target.find('{'), target.find('}') - target.find('{') + 1, "x");
        const Answer refused = world.by_socket(std::string(route.method), target);
        INFO(route.method << " " << target << " " << refused.body);
        CHECK(refused.status == 403);
    }
    CHECK(world.by_socket("GET", "/").status == 404);
    CHECK(world.by_socket("GET", "/index.html").status == 404);
}

TEST_CASE("a task changes nothing without a rule, and with one what that grants, asked again in apply") {
    TaskWorld world;
    const std::string body = R"({"instances": 3})";
    const Answer refused = world.by_socket("PUT", "/v2/apps/team-a/db?force=true", kOne, kWeb, body);
    CHECK(refused.status == 403);
    CHECK(refused.body.contains("smackd policy add NAME task:/team-a/web --allow change --path /team-a/db"));
    CHECK(world.by_socket("POST", "/v2/apps", kOne, kWeb, R"({"id": "/team-a/new", "cmd": "x"})").status ==
          403);
    CHECK(world.by_socket("DELETE", "/v2/apps/team-a/web").status == 403);
    world.rule("task:/team-a/web", R"("change")", "/team-a/db");
    const Answer changed = world.by_socket("PUT", "/v2/apps/team-a/db?force=true", kOne, kWeb, body);
    INFO(changed.body);
    CHECK(changed.status == 200);
    CHECK(world.state->proposed.back().actor().kind() == wire::Actor::TASK);
    CHECK(world.state->proposed.back().actor().principal() == "task:" + kWeb);
    CHECK(world.by_socket("PUT", "/v2/apps/team-a/web?force=true", kOne, kWeb, body).status == 403);
    CHECK(world.by_socket("DELETE", "/v2/apps/team-a/db?force=true").status == 403);
    // The rule goes, or the task ends, while the request is under way.
    world.state->meanwhile = [&] { world.end(kWeb); };
    CHECK(world.by_socket("PUT", "/v2/apps/team-a/db?force=true", kOne, kWeb, R"({"instances": 4})").status ==
          403);
}

TEST_CASE("of logs a task reads its own, others by a rule alone") {
    TaskWorld world;
    CHECK(world.by_socket("GET", "/smack/v1/tasks/" + kWeb + "/log/stdout").status ==
          503);  // no node runs here
    const std::string other = "team-a_db.instance-00000000-0000-0000-0000-000000000009._app.1";
    CHECK(world.by_socket("GET", "/smack/v1/tasks/" + other + "/log/stdout").status == 403);
    world.rule("task:/team-a/web", R"("view")", "/team-a/db");
    CHECK(world.by_socket("GET", "/smack/v1/tasks/" + other + "/log/stdout").status == 503);
}

TEST_CASE("a node speaks for the tasks that run on it, while they run") {
    TaskWorld world;
    CHECK(world.by_socket("GET", "/v2/apps", kTwo, kWeb).status == 403);
    CHECK(world.by_socket("GET", "/v2/apps", kOne, "nobody").status == 401);
    CHECK(world.token_for(kWeb, kOne));
    CHECK(world.token_for(kWeb, kTwo).error().code == core::Errc::kDenied);
    CHECK(world.token_for("nobody", kOne).error().code == core::Errc::kUnauthenticated);
    world.end(kWeb);
    CHECK(world.by_socket("GET", "/v2/apps").status == 401);
    CHECK(world.token_for(kWeb, kOne).error().code == core::Errc::kUnauthenticated);
}

TEST_CASE("a task's token opens what its socket does, and no other door") {
    TaskWorld world;
    const auto given = world.token_for(kWeb, kOne);
    REQUIRE(given);
    CHECK(given->expires_s() == world.clock.wall().unix_ms / 1000 + auth::kTaskTokenLifeSeconds);
    const std::string& token = given->token();
    CHECK(ids_of(world.by_token("GET", "/v2/apps", token)).size() == 2);
    CHECK(world.send("GET", "/v2/apps", {{"Authorization", "token=" + token}}).status == 200);
    CHECK(world.by_token("GET", "/v2/apps/team-b/web", token).status == 403);
    CHECK(world.by_token("GET", "/smack/v1/users", token).status == 403);
    CHECK(world.by_token("GET", "/smack/v1/events", token).status == 403);
    CHECK(world.by_token("POST", "/smack/v1/logout", token).status == 403);
    // Not for another token, not as a session of a browser.
    CHECK(world
              .send("POST", "/smack/v1/login",
                    {{"Authorization", "Bearer " + token}, {"Content-Type", "application/json"}}, "{}")
              .status == 401);
    CHECK(
        world.send("GET", "/v2/apps", {{"Cookie", std::string(auth::kSessionCookie) + "=" + token}}).status ==
        401);
    // Changed to a user's.
    const size_t dot = token.find('.');
    const size_t end = token.find('.', dot + 1);
    std::string payload = core::from_base64url(token.substr(dot + 1, end - dot - 1)).value();
    payload.replace(payload.find("smackd-task"), 11, "smackd");
    CHECK(world
              .by_token("GET", "/v2/apps",
                        token.substr(0, dot + 1) + core::to_base64url(payload) + token.substr(end))
              .status == 401);
    // Its life, and the task's.
    world.clock.wall_offset += std::chrono::seconds(auth::kTaskTokenLifeSeconds + 1);
    CHECK(world.by_token("GET", "/v2/apps", token).message().contains("expired"));
    const auto second = world.token_for(kWeb, kOne);
    REQUIRE(second);
    CHECK(world.by_token("GET", "/v2/apps", second->token()).status == 200);
    world.end(kWeb);
    const Answer over = world.by_token("GET", "/v2/apps", second->token());
    CHECK(over.status == 401);
    CHECK(over.body.contains("does not run"));
}

TEST_CASE("a token that names a task is not one of a user of that name, and the reverse") {
    TaskWorld world;
    const auth::TokenKey key = *auth::TokenKey::generate();
    world.api->set_token_keys({key});
    const auto issue = [&](std::string_view issuer, std::string_view subject, auth::TokenKind kind) {
        return auth::issue_token(key, issuer, subject, world.clock.wall(), 60, kind)->text;
    };
    const std::string id(test::kClusterId);
    CHECK(world.by_token("GET", "/v2/apps", issue(id, "task:" + kWeb, auth::TokenKind::kTask)).status == 200);
    // No user has such a name.
    CHECK(world.by_token("GET", "/v2/apps", issue(id, "task:" + kWeb, auth::TokenKind::kUser)).status == 422);
    CHECK(world.by_token("GET", "/v2/apps", issue(id, "admin@EXAMPLE.COM", auth::TokenKind::kTask)).status ==
          401);
    CHECK(world.by_token("GET", "/v2/apps", issue(id, "task:", auth::TokenKind::kTask)).status == 401);
    CHECK(
        world.by_token("GET", "/v2/apps", issue("another", "task:" + kWeb, auth::TokenKind::kTask)).status ==
        401);
}
