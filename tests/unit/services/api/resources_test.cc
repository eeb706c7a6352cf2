// Users, groups, machines, rules: rows in, rows out, versions, retries, and who may.
#include "auth/keytab.h"
#include "tests/unit/services/api/world.h"

using namespace smackd;
using core::Json;
using test::Answer;
using test::ApiWorld;

namespace {

std::vector<std::string> names(const Json& rows, std::string_view field = "name") {
    std::vector<std::string> found;
    for (const Json& row : rows.as_array()) found.push_back(row[field].as_string());
    return found;
}
using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("a group is created once, replaced, and removed") {
    ApiWorld world;
    const Answer created = world.as("admin", "POST", "/smack/v1/groups",
                                    R"({"name":"ops","members":["bob"],"description":"run it"})");
    CHECK(created.status == 201);
    CHECK(created.headers.get("Location") == "/smack/v1/groups/ops");
    const Answer again = world.as("admin", "POST", "/smack/v1/groups", R"({"name":"ops"})");
    CHECK(again.status == 409);
    CHECK(again.code() == "conflict");

    const Answer shown = world.as("admin", "GET", "/smack/v1/groups/ops");
    CHECK(shown.json()["members"].as_array().at(0).as_string() == "bob");
    CHECK(shown.headers.get("ETag") == '"' + shown.json()["version"].as_string() + '"');
    CHECK(shown.headers.has("X-Smack-Applied-Index"));
    CHECK(shown.headers.get("X-Smack-Leader-Contact-Ms") == "0");

    CHECK(world.as("admin", "PUT", "/smack/v1/groups/ops", R"({"members":[]})").status == 200);
    CHECK(world.as("admin", "GET", "/smack/v1/groups/ops").json()["description"].as_string().empty());
    CHECK(world.as("admin", "DELETE", "/smack/v1/groups/ops").status == 200);
    CHECK(world.as("admin", "GET", "/smack/v1/groups/ops").status == 404);
    CHECK(world.as("admin", "DELETE", "/smack/v1/groups/ops").status == 404);
}

TEST_CASE("If-Match changes only the version that was read") {
    ApiWorld world;
    world.as("admin", "PUT", "/smack/v1/groups/ops", R"({"description":"one"})");
    const std::string tag(world.as("admin", "GET", "/smack/v1/groups/ops").headers.get("ETag"));
    CHECK(world.as("admin", "PUT", "/smack/v1/groups/ops", R"({"description":"two"})", {{"If-Match", tag}})
              .status == 200);
    const Answer late =
        world.as("admin", "PUT", "/smack/v1/groups/ops", R"({"description":"three"})", {{"If-Match", tag}});
    CHECK(late.status == 409);
    CHECK(world.as("admin", "GET", "/smack/v1/groups/ops").json()["description"].as_string() == "two");
    CHECK(world.as("admin", "PUT", "/smack/v1/groups/ops", "{}", {{"If-None-Match", "*"}}).status == 409);
    CHECK(world.as("admin", "DELETE", "/smack/v1/groups/ops", {}, {{"If-Match", "\"9.1\""}}).status == 409);
    CHECK(world.as("admin", "DELETE", "/smack/v1/groups/ops?if_version=1.1").status == 409);
}

TEST_CASE("a repeated request with its key is applied once") {
    ApiWorld world;
    const std::string body = R"({"name":"ops"})";
    const Answer first = world.as("admin", "POST", "/smack/v1/groups", body, {{"Idempotency-Key", "k"}});
    const Answer again = world.as("admin", "POST", "/smack/v1/groups", body, {{"Idempotency-Key", "k"}});
    CHECK(first.status == 201);
    CHECK(again.status == 201);
    CHECK(first.json() == again.json());
    CHECK(world.as("admin", "POST", "/smack/v1/groups", body, {{"Idempotency-Key", "other"}}).status == 409);

    // A command with keys in it differs from try to try; it is still the same request.
    const std::string user = R"({"name":"carol"})";
    const Answer added = world.as("admin", "POST", "/smack/v1/users", user, {{"Idempotency-Key", "u"}});
    CHECK(added.status == 201);
    CHECK(world.as("admin", "POST", "/smack/v1/users", user, {{"Idempotency-Key", "u"}}).json() ==
          added.json());
    const auto keytab = [&] {
        return world.as("admin", "POST", "/smack/v1/users/carol/keytab", "{}", {{"Idempotency-Key", "t"}})
            .body;
    };
    const auto exported = auth::Keytab::parse(keytab());
    const auto repeated = auth::Keytab::parse(keytab());
    REQUIRE(exported);
    REQUIRE(repeated);
    CHECK(exported->find("carol@EXAMPLE.COM")->key == repeated->find("carol@EXAMPLE.COM")->key);
}

TEST_CASE("adding a user does not take over a principal that is there") {
    ApiWorld world;
    wire::Command command;
    command.set_feature_level(1);
    command.mutable_actor()->set_kind(wire::Actor::SYSTEM);
    command.mutable_actor()->set_principal("smackd");
    *command.add_changes()->mutable_put_principal() = *world.realm->with_random_key("carol");
    REQUIRE(world.state->apply(std::move(command)).code() == 0);
    const Answer refused = world.as("admin", "POST", "/smack/v1/users", R"({"name":"carol"})");
    CHECK(refused.status == 409);
    CHECK(refused.message().contains("carol@EXAMPLE.COM"));
    const Answer exists = world.as("admin", "POST", "/smack/v1/users", R"({"name":"bob"})");
    CHECK(exists.message() == "user 'bob' exists already");
}

TEST_CASE("mistakes in a body are named and change nothing") {
    ApiWorld world;
    const uint64_t before = world.machine->revision().number;
    const auto message = [&](const std::string& body, test::HeaderList headers = {}) {
        const Answer answer = world.as("admin", "POST", "/smack/v1/groups", body, std::move(headers));
        CHECK(answer.status == 422);
        return answer.message();
    };
    CHECK(message(R"({"name":"Ops"})").starts_with("group name 'Ops'"));
    CHECK(message(R"({"name":"ops","mebers":[]})").contains("'mebers'"));
    CHECK(message(R"({"name":"ops",})").starts_with("JSON:"));
    CHECK(message(R"(["ops"])").contains("JSON object"));
    CHECK(message(R"({"name":"ops"})", {{"Idempotency-Key", ""}}).starts_with("Idempotency-Key"));
    const Answer plain =
        world.send("POST", "/smack/v1/groups",
                   {{"Authorization", "Bearer " + world.token("admin")}, {"Content-Type", "text/plain"}},
                   R"({"name":"ops"})");
    CHECK(plain.message().starts_with("Content-Type"));
    CHECK(world.machine->revision().number == before);
}

TEST_CASE("people see what their rules let them, and change nothing without admin") {
    ApiWorld world;
    CHECK(names(world.as("admin", "GET", "/smack/v1/users").json()["users"]) ==
          Names{"admin", "alice", "bob"});
    CHECK(names(world.as("bob", "GET", "/smack/v1/users").json()["users"]) == Names{"bob"});
    CHECK(names(world.as("bob", "GET", "/smack/v1/rules").json()["rules"], "id") == Names{"shop"});
    CHECK(world.as("bob", "GET", "/smack/v1/users/admin").status == 403);
    CHECK(world.as("bob", "GET", "/smack/v1/users/nobody").status == 403);
    CHECK(world.as("bob", "GET", "/smack/v1/users/bob").status == 200);
    for (const char* target : {"/smack/v1/sql", "/smack/v1/groups", "/smack/v1/users/alice/keytab"}) {
        CHECK(world.as("bob", "POST", target, "{}").status == 403);
    }
    CHECK(world.as("bob", "GET", "/smack/v1/audit").status == 403);
    CHECK(world.as("bob", "GET", "/metrics").status == 403);
    CHECK(world.as("alice", "GET", "/smack/v1/users").status == 403);

    const std::string rule = R"({"subject":"user:alice","actions":["view"]})";
    CHECK(world.as("alice", "PUT", "/smack/v1/rules/mine", rule).status == 403);
    CHECK(world.as("admin", "PUT", "/smack/v1/rules/alice", rule).status == 200);
    CHECK(names(world.as("alice", "GET", "/smack/v1/users").json()["users"]).size() == 3);
    CHECK(world.as("admin", "DELETE", "/smack/v1/rules/alice").status == 200);
    CHECK(world.as("alice", "GET", "/smack/v1/users").status == 403);
}

TEST_CASE("apply refuses what the door let pass") {
    ApiWorld world;
    world.token("admin");
    // The right is gone in the state, while this server's view still has it.
    wire::Command command;
    command.set_feature_level(1);
    command.mutable_actor()->set_kind(wire::Actor::SYSTEM);
    command.mutable_actor()->set_principal("smackd");
    command.add_changes()->mutable_remove_rule()->set_id("admins");
    world.as("admin", "GET", "/smack/v1/whoami");
    REQUIRE(world.state->apply(std::move(command)).code() == 0);
    const Answer answer = world.as("admin", "PUT", "/smack/v1/groups/ops", "{}");
    CHECK(answer.status == 403);
    CHECK(answer.message().contains("no rule lets user 'admin' admin"));
}

TEST_CASE("a user comes with a principal, and goes with it") {
    ApiWorld world;
    CHECK(world.as("admin", "POST", "/smack/v1/users", R"({"name":"carol","password":"short"})").status ==
          422);
    const Answer created =
        world.as("admin", "POST", "/smack/v1/users",
                 R"({"name":"carol","full_name":"Carol","password":"correct horse battery"})");
    INFO(created.body);
    CHECK(created.status == 201);
    const auto principals = [&] {
        Names found;
        for (const Json& name :
             world.as("admin", "GET", "/smack/v1/realm/principals").json()["principals"].as_array()) {
            found.push_back(name.as_string());
        }
        return found;
    };
    CHECK(std::ranges::contains(principals(), "carol@EXAMPLE.COM"));
    CHECK(world.as("admin", "POST", "/smack/v1/users", R"({"name":"carol"})").status == 409);
    CHECK(world.as("admin", "DELETE", "/smack/v1/users/carol").status == 200);
    CHECK_FALSE(std::ranges::contains(principals(), "carol@EXAMPLE.COM"));
    for (const wire::Command& command : world.state->proposed) {
        CHECK_FALSE(command.SerializeAsString().contains("correct horse battery"));
    }
}

TEST_CASE("one changes one's own password by the old one") {
    ApiWorld world;
    world.as("admin", "POST", "/smack/v1/users", R"({"name":"carol","password":"correct horse battery"})");
    world.kerberos.passwords["carol@EXAMPLE.COM"] = "correct horse battery";
    const std::string path = "/smack/v1/users/carol/password";
    const std::string wanted = R"("password":"staple staple staple")";
    CHECK(world.as("bob", "POST", path, "{" + wanted + "}").status == 403);
    CHECK(world.as("carol", "POST", path, "{" + wanted + "}").status == 422);
    const Answer wrong = world.as("carol", "POST", path, "{" + wanted + R"(,"current_password":"x"})");
    CHECK(wrong.status == 403);
    CHECK(wrong.message().starts_with("current_password"));
    world.clock.wall_offset += std::chrono::seconds(2);
    const Answer changed =
        world.as("carol", "POST", path, "{" + wanted + R"(,"current_password":"correct horse battery"})");
    INFO(changed.body);
    CHECK(changed.status == 200);
    CHECK(world.as("carol", "GET", "/smack/v1/whoami").status == 401);  // older sessions end
    CHECK(world.as("admin", "POST", path, "{" + wanted + "}").status == 200);
}

TEST_CASE("a machine is registered with its keys, which leave as a keytab") {
    ApiWorld world;
    const Answer created = world.as("admin", "POST", "/smack/v1/machines",
                                    R"({"name":"n2","roles":["agent"],"attributes":{"rack":"7"}})");
    INFO(created.body);
    CHECK(created.status == 201);
    const auto keytab = [&](const std::string& body) {
        const Answer answer = world.as("admin", "POST", "/smack/v1/machines/n2/keytab", body);
        INFO(answer.body);
        REQUIRE(answer.status == 200);
        auto parsed = auth::Keytab::parse(answer.body);
        REQUIRE(parsed);
        return *parsed;
    };
    const auth::Keytab first = keytab("{}");
    CHECK(first.principals() == Names{"HTTP/n2@EXAMPLE.COM", "host/n2@EXAMPLE.COM", "smack/n2@EXAMPLE.COM"});
    const auth::Keytab same = keytab(R"({"rotate":false})");
    CHECK(same.find("smack/n2@EXAMPLE.COM")->kvno == first.find("smack/n2@EXAMPLE.COM")->kvno);
    const auth::Keytab next = keytab("{}");
    CHECK(next.find("smack/n2@EXAMPLE.COM")->kvno == first.find("smack/n2@EXAMPLE.COM")->kvno + 1);
    CHECK(next.find("smack/n2@EXAMPLE.COM")->key != first.find("smack/n2@EXAMPLE.COM")->key);

    const Answer base64 = world.as("admin", "POST", "/smack/v1/machines/n2/keytab?encoding=base64", "{}");
    CHECK(core::from_base64(base64.json()["keytab_base64"].as_string()).has_value());
    CHECK(world.as("admin", "POST", "/smack/v1/machines/n9/keytab", "{}").status == 404);

    const std::string path = "/smack/v1/machines/n2";
    CHECK(world.as("admin", "PUT", path, R"({"roles":["agent"],"generation":3})").status == 200);
    CHECK(world.as("admin", "PUT", path, R"({"roles":["agent"],"state":"suspended"})").status == 200);
    CHECK(world.as("admin", "GET", path).json()["generation"].as_integer() == 3);
    CHECK(world.as("admin", "PUT", path, R"({"roles":["agent"],"generation":2})").status == 409);
    CHECK(world.as("admin", "DELETE", "/smack/v1/machines/n2").status == 200);
    CHECK(world.as("admin", "POST", "/smack/v1/machines/n2/keytab", "{}").status == 404);
}

TEST_CASE("with an outside realm passwords and keytabs are elsewhere") {
    ApiWorld world(false);
    CHECK(world.as("admin", "POST", "/smack/v1/users", R"({"name":"carol"})").status == 201);
    const Answer password =
        world.as("admin", "POST", "/smack/v1/users", R"({"name":"dave","password":"correct horse battery"})");
    CHECK(password.status == 501);
    CHECK(password.message().contains("EXAMPLE.COM"));
    CHECK(world.as("admin", "POST", "/smack/v1/machines", R"({"name":"n2"})").status == 201);
    CHECK(world.as("admin", "POST", "/smack/v1/machines/n2/keytab", "{}").status == 501);
}

TEST_CASE("trouble behind the door is told as it is") {
    ApiWorld world;
    world.token("admin");
    world.state->failure = core::Error{core::Errc::kDiskFull, "no space left", 0};
    CHECK(world.as("admin", "PUT", "/smack/v1/groups/ops", "{}").status == 507);
    CHECK(world.as("admin", "GET", "/smack/v1/groups").status == 200);
    world.state->failure = core::Error{core::Errc::kBusy, "full", 700};
    const Answer busy = world.as("admin", "PUT", "/smack/v1/groups/ops", "{}");
    CHECK(busy.status == 503);
    CHECK(busy.headers.get("Retry-After") == "1");
    CHECK(busy.json()["error"]["retry_after_ms"].as_integer() == 700);
    world.state->failure = core::Error{core::Errc::kUnavailable, "no leader", 0};
    CHECK(world.as("admin", "GET", "/smack/v1/groups?consistent=true").status == 503);
}

TEST_CASE("reads wait for a revision, but not for ever") {
    ApiWorld world;
    const std::string now = world.as("admin", "GET", "/smack/v1/groups").json()["revision"].as_string();
    CHECK(world.as("admin", "GET", "/smack/v1/groups?min_revision=" + now).status == 200);
    const Answer late = world.as("admin", "GET", "/smack/v1/groups?wait_ms=20&min_revision=1.999999");
    CHECK(late.status == 504);
    CHECK(late.message().contains(now));
    CHECK(world.as("admin", "GET", "/smack/v1/groups?min_revision=7").status == 422);
    const Answer older = world.as("admin", "GET", "/smack/v1/groups?min_revision=0.5");
    CHECK(older.status == 409);
}

TEST_CASE("admins look inside by SQL, the audit and metrics") {
    ApiWorld world;
    world.as("admin", "PUT", "/smack/v1/groups/ops", R"({"members":["bob"]})");
    const Answer rows = world.as(
        "admin", "POST", "/smack/v1/sql",
        R"({"query":"SELECT user_name, version FROM group_members JOIN groups ON name = group_name WHERE name = 'ops'"})");
    INFO(rows.body);
    CHECK(rows.json()["columns"].as_array().at(0).as_string() == "user_name");
    CHECK(rows.json()["rows"].as_array().at(0).as_array().at(0).as_string() == "bob");
    const Answer few =
        world.as("admin", "POST", "/smack/v1/sql", R"({"query":"SELECT name FROM users","rows_max":1})");
    CHECK(few.json()["truncated"].as_bool());
    CHECK(world.as("admin", "POST", "/smack/v1/sql", R"({"query":"DELETE FROM users"})").status >= 400);
    CHECK(world.as("admin", "POST", "/smack/v1/sql", R"({"query":"SELEC"})").status == 422);

    const Json audit = world.as("admin", "GET", "/smack/v1/audit?limit=1").json()["audit"];
    CHECK(audit.as_array().at(0)["actor"].as_string() == "admin@EXAMPLE.COM");
    CHECK(audit.as_array().at(0)["summary"].as_string().contains("put_group ops"));
    CHECK(world.as("admin", "GET", "/smack/v1/audit?limit=0").status == 422);

    const std::string metrics = world.as("admin", "GET", "/metrics").body;
    CHECK(metrics.contains("smackd_api_requests_total{class=\"write\",outcome=\"ok\"} 1\n"));
}

TEST_CASE("status tells cluster, server and alarms; the policy question answers") {
    ApiWorld world;
    world.state->status_.alarms = {{"disk_full", "free some space"}, {"old", ""}};
    const Json status = world.as("bob", "GET", "/smack/v1/status").json();
    CHECK(status["cluster"]["name"].as_string() == "office");
    CHECK(status["node"]["role"].as_string() == "leader");
    CHECK(status["leader"]["machine"].as_string() == "n1");
    CHECK(status["servers"].as_array().at(0)["self"].as_bool());
    CHECK(status["alarms"].as_array().size() == 1);
    world.state->status_.leader = core::NodeId{0};
    CHECK(world.as("bob", "GET", "/smack/v1/status").json()["leader"].is_null());
    CHECK(world.send("GET", "/ready").status == 503);

    const Json yes = world.as("bob", "GET", "/smack/v1/policy/check?action=view&tenant=shop&path=/a").json();
    CHECK(yes["allowed"].as_bool());
    CHECK(yes["rule"].as_string() == "shop");
    const Json no = world.as("bob", "GET", "/smack/v1/policy/check?action=kill&tenant=shop").json();
    CHECK_FALSE(no["allowed"].as_bool());
    CHECK(no["message"].as_string().contains("kill"));
    CHECK(world.as("bob", "GET", "/smack/v1/policy/check?user=admin").status == 403);
    CHECK(
        world.as("admin", "GET", "/smack/v1/policy/check?user=bob&action=view").json()["allowed"].as_bool() ==
        false);
}
