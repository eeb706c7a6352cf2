// Tokens and cookies: how they are got, what they open, and how they end.
#include "tests/unit/services/api/world.h"

using namespace smackd;
using test::Answer;
using test::ApiWorld;
using test::negotiate;

namespace {

const test::HeaderList kJson = {{"Content-Type", "application/json"}};

std::string cookie_of(const Answer& answer) {
    const std::string value(answer.headers.get("Set-Cookie"));
    return value.substr(0, value.find(';'));
}

}  // namespace

TEST_CASE("login gives a token that opens until it is revoked") {
    ApiWorld world;
    Answer answer = world.send(
        "POST", "/smack/v1/login",
        {{"Authorization", negotiate("admin@EXAMPLE.COM")}, {"Content-Type", "application/json"}}, "{}");
    REQUIRE(answer.status == 200);
    CHECK(answer.headers.get("WWW-Authenticate") == negotiate("reply to admin@EXAMPLE.COM"));
    const core::Json json = answer.json();
    CHECK(json["principal"].as_string() == "admin@EXAMPLE.COM");
    CHECK(json["ca_pem"].as_string().starts_with("-----BEGIN"));
    CHECK(json["expires_s"].as_integer() == world.clock.wall().unix_ms / 1000 + auth::kTokenLifeSeconds);

    for (const std::string& form :
         {"Bearer " + json["token"].as_string(), "token=" + json["token"].as_string()}) {
        CHECK(world.send("GET", "/v2/apps", {{"Authorization", form}}).body == "{\"apps\":[]}\n");
    }
    const std::string bearer = "Bearer " + json["token"].as_string();
    CHECK(world
              .send("POST", "/smack/v1/login",
                    {{"Authorization", bearer}, {"Content-Type", "application/json"}}, "{}")
              .status == 401);
    answer = world.send("POST", "/smack/v1/logout", {{"Authorization", bearer}});
    CHECK(answer.json()["revoked"].as_bool());
    answer = world.send("GET", "/v2/apps", {{"Authorization", bearer}});
    CHECK(answer.status == 401);
    CHECK(answer.message().contains("revoked"));
    CHECK(world.as("admin", "GET", "/v2/apps").status == 200);  // another token of the same user lives
}

TEST_CASE("a token ends with its time") {
    ApiWorld world;
    CHECK(world.as("admin", "GET", "/smack/v1/whoami").status == 200);
    world.clock.wall_offset += std::chrono::seconds(auth::kTokenLifeSeconds + auth::kTokenSkewSeconds + 1);
    const Answer answer = world.as("admin", "GET", "/smack/v1/whoami");
    CHECK(answer.status == 401);
    CHECK(answer.message().contains("expired"));
}

TEST_CASE("the form's password becomes a cookie for this site only") {
    ApiWorld world;
    world.kerberos.passwords["admin@EXAMPLE.COM"] = "correct horse battery";
    const std::string body = R"({"user":"admin","password":"correct horse battery","cookie":true})";
    CHECK(world
              .send("POST", "/smack/v1/login",
                    {{"Content-Type", "application/json"}, {"Origin", "http://evil.example"}}, body)
              .status == 403);
    CHECK(world.kerberos.password_checks == 0);
    const Answer answer = world.send("POST", "/smack/v1/login", kJson, body);
    REQUIRE(answer.status == 200);
    CHECK(answer.json().find("token") == nullptr);
    const std::string set(answer.headers.get("Set-Cookie"));
    CHECK(set.contains("HttpOnly"));
    CHECK(set.contains("SameSite=Strict"));
    const std::string cookie = cookie_of(answer);
    const Answer who = world.send("GET", "/smack/v1/whoami", {{"Cookie", cookie}});
    CHECK(who.json()["method"].as_string() == "session");
    CHECK(
        world
            .send(
                "PUT", "/smack/v1/groups/g",
                {{"Cookie", cookie}, {"Content-Type", "application/json"}, {"Sec-Fetch-Site", "cross-site"}},
                "{}")
            .status == 403);
    CHECK(
        world
            .send(
                "POST", "/smack/v1/logout",
                {{"Cookie", cookie}, {"Content-Type", "application/json"}, {"Sec-Fetch-Site", "same-origin"}},
                "{}")
            .status == 200);
    CHECK(world.send("GET", "/smack/v1/whoami", {{"Cookie", cookie}}).status == 401);
}

TEST_CASE("a wrong password does not make a browser try its ticket, and guessing gets slower") {
    ApiWorld world;
    const std::string body = R"({"user":"admin","password":"wrong"})";
    for (int i = 0; i < 5; ++i) {
        const Answer answer = world.send("POST", "/smack/v1/login", kJson, body);
        CHECK(answer.status == 401);
        CHECK(answer.headers.all("WWW-Authenticate").size() == 1);
        CHECK(answer.headers.get("WWW-Authenticate").starts_with("Bearer"));
    }
    const Answer held = world.send("POST", "/smack/v1/login", kJson, body);
    CHECK(held.status == 503);
    CHECK(held.code() == "busy");
    CHECK(held.headers.get("Retry-After") == "1");
    CHECK(world.kerberos.password_checks == 5);
}

TEST_CASE("DC/OS clients sign in their way") {
    ApiWorld world;
    world.kerberos.passwords["admin@EXAMPLE.COM"] = "correct horse battery";
    const Answer answer = world.send("POST", "/acs/api/v1/auth/login", kJson,
                                     R"({"uid":"admin","password":"correct horse battery"})");
    REQUIRE(answer.status == 200);
    const std::string token = answer.json()["token"].as_string();
    CHECK(world.send("GET", "/service/marathon/v2/apps", {{"Authorization", "token=" + token}}).status ==
          200);
    CHECK(world.send("POST", "/acs/api/v1/auth/login", kJson, R"({"uid":"admin"})").status == 422);
}

TEST_CASE("a disabled user is out at once, token or not") {
    ApiWorld world;
    CHECK(world.as("bob", "GET", "/v2/apps").status == 200);
    world.clock.wall_offset += std::chrono::seconds(2);  // sessions end that began before this second
    CHECK(world.as("admin", "POST", "/smack/v1/users/bob/disable", "{}").status == 200);
    const Answer by_token = world.as("bob", "GET", "/v2/apps");
    CHECK(by_token.status == 401);  // disabling ends the sessions
    const Answer by_ticket = world.send("GET", "/v2/apps", {{"Authorization", negotiate("bob@EXAMPLE.COM")}});
    CHECK(by_ticket.status == 403);
    CHECK(by_ticket.message().contains("disabled"));
    CHECK(world.as("admin", "POST", "/smack/v1/users/bob/enable", "{}").status == 200);
    CHECK(world.send("GET", "/v2/apps", {{"Authorization", negotiate("bob@EXAMPLE.COM")}}).status == 200);
}
