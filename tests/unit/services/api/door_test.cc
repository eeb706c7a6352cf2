// Who gets in, and what those are told who do not.
#include "tests/unit/services/api/world.h"

using namespace smackd;
using test::Answer;
using test::ApiWorld;
using test::negotiate;

TEST_CASE("without an identity only health and the page answer") {
    ApiWorld world;
    CHECK(world.send("GET", "/ping").body == "pong\n");
    CHECK(world.send("GET", "/health").status == 200);
    CHECK(world.send("GET", "/ready").json()["ready"].as_bool());
    CHECK(world.send("GET", "/").body.contains("<title>smackd</title>"));
    CHECK(world.send("GET", "/app.js").headers.get("Content-Type") == "text/javascript; charset=utf-8");

    for (const char* path :
         {"/v2/apps", "/metrics", "/smack/v1/whoami", "/smack/v1/status", "/smack/v1/users",
          "/smack/v1/events", "/smack/v1/realm", "/service/marathon/v2/apps"}) {
        const Answer answer = world.send("GET", path);
        INFO(path);
        CHECK(answer.status == 401);
        CHECK(answer.code() == "unauthenticated");
        CHECK(answer.message().contains("kinit"));
        const auto challenges = answer.headers.all("WWW-Authenticate");
        REQUIRE(challenges.size() == 2);
        CHECK(challenges[0] == "Negotiate");
        CHECK(challenges[1].starts_with("Bearer"));
    }
    CHECK(world.send("POST", "/smack/v1/sql", {{"Content-Type", "application/json"}}, "{}").status == 401);
}

TEST_CASE("unknown paths and wrong methods say so") {
    ApiWorld world;
    const Answer missing = world.send("GET", "/nothing/here");
    CHECK(missing.status == 404);
    CHECK(missing.code() == "not_found");
    const Answer wrong = world.send("PATCH", "/smack/v1/users/bob");
    CHECK(wrong.status == 405);
    CHECK(wrong.headers.get("Allow") == "GET, HEAD, PUT, DELETE");
    CHECK(world.send("POST", "/index.html", {}, "x").status == 404);
}

TEST_CASE("the page may load nothing but itself") {
    ApiWorld world;
    const Answer page = world.send("GET", "/");
    const std::string policy(page.headers.get("Content-Security-Policy"));
    CHECK(policy.contains("default-src 'none'"));
    CHECK(policy.contains("script-src 'self'"));
    CHECK_FALSE(policy.contains("unsafe"));
    CHECK(policy.contains("frame-ancestors 'none'"));
    CHECK(page.headers.get("X-Content-Type-Options") == "nosniff");
    CHECK_FALSE(page.body.contains("<script>"));
    CHECK_FALSE(page.body.contains("http://"));
}

TEST_CASE("a ticket opens, and the reply proves the server") {
    ApiWorld world;
    const Answer answer =
        world.send("GET", "/smack/v1/whoami", {{"Authorization", negotiate("admin@EXAMPLE.COM")}});
    CHECK(answer.status == 200);
    CHECK(answer.headers.get("WWW-Authenticate") == negotiate("reply to admin@EXAMPLE.COM"));
    const core::Json json = answer.json();
    CHECK(json["user"].as_string() == "admin");
    CHECK(json["method"].as_string() == "ticket");
    CHECK(json["groups"].as_array().size() == 1);
    CHECK(json["grants"].as_array().at(0)["actions"].as_array().at(0).as_string() == "admin");
}

TEST_CASE("a refused ticket carries its reason and the error token") {
    ApiWorld world;
    const Answer skew = world.send("GET", "/v2/apps", {{"Authorization", negotiate("skew")}});
    CHECK(skew.status == 401);
    CHECK(skew.message().contains("12:09"));
    CHECK(skew.headers.get("WWW-Authenticate") == negotiate("reply to skew"));
    const core::Json refusals = world.as("admin", "GET", "/smack/v1/refusals").json();
    CHECK(refusals["refusals"].as_array().at(0)["reason"].as_string() == "clock");
    CHECK(refusals["refusals"].as_array().at(0)["request"].as_string() == "GET /v2/apps");
}

TEST_CASE("being known to Kerberos is not being allowed") {
    ApiWorld world;
    const auto refused = [&](const char* principal) {
        const Answer answer = world.send("GET", "/v2/apps", {{"Authorization", negotiate(principal)}});
        CHECK(answer.status == 403);
        CHECK(answer.code() == "denied");
        return answer.message();
    };
    CHECK(refused("mallory@EXAMPLE.COM").contains("smackd user add mallory"));
    CHECK(refused("admin@ELSEWHERE.ORG").contains("ELSEWHERE.ORG"));
    CHECK(refused("smack/n1@EXAMPLE.COM").contains("machine"));
    CHECK(refused("HTTP/n1@EXAMPLE.COM").contains("service"));
    // Known, but no rule names alice: the refusal says which is missing; she may still ask who she is.
    CHECK(refused("alice@EXAMPLE.COM").contains("no rule lets user 'alice' view"));
    CHECK(world.send("GET", "/smack/v1/whoami", {{"Authorization", negotiate("alice@EXAMPLE.COM")}}).status ==
          200);
}

TEST_CASE("malformed and doubtful Authorization headers are refused") {
    ApiWorld world;
    for (const char* value : {"Negotiate", "Negotiate !!!", "Basic YWRtaW46eA==", "Bearer", "Bearer a b",
                              "Bearer abc.def.ghi", "token=", "Digest x"}) {
        const Answer answer = world.send("GET", "/v2/apps", {{"Authorization", value}});
        INFO(value << " " << answer.body);
        CHECK((answer.status == 401 || answer.status == 422));
    }
}

TEST_CASE("a foreign Host is refused before anything else, health excepted") {
    ApiWorld world;
    const Answer foreign = world.send("GET", "/", {{"Host", "evil.example:80"}});
    CHECK(foreign.status == 403);
    CHECK(foreign.message().contains("evil.example"));
    CHECK(world
              .send("GET", "/smack/v1/whoami",
                    {{"Host", "evil.example"}, {"Authorization", negotiate("admin@EXAMPLE.COM")}})
              .status == 403);
    CHECK(world.send("GET", "/health", {{"Host", "10.1.2.3"}}).status == 200);
}

TEST_CASE("another site's page can change nothing by what a browser sends by itself") {
    ApiWorld world;
    const std::string rule = R"({"subject":"user:alice","actions":["admin"]})";
    const auto attempt = [&](test::HeaderList headers) {
        headers.emplace_back("Authorization", negotiate("admin@EXAMPLE.COM"));
        return world.send("PUT", "/smack/v1/rules/evil", std::move(headers), rule).status;
    };
    CHECK(attempt({{"Content-Type", "application/json"}, {"Origin", "http://evil.example"}}) == 403);
    CHECK(attempt({{"Content-Type", "application/json"}, {"Sec-Fetch-Site", "cross-site"}}) == 403);
    CHECK(attempt({{"Content-Type", "text/plain"}}) == 403);
    CHECK(attempt({{"Content-Type", "application/json"}, {"Origin", "http://" + world.host}}) == 200);
    // A token is put there by a program, not by a browser.
    CHECK(
        world.as("admin", "PUT", "/smack/v1/rules/fine", rule, {{"Origin", "http://evil.example"}}).status ==
        200);
}
