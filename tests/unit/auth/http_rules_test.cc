#include "auth/http_rules.h"

#include <catch2/catch_test_macros.hpp>

using namespace smackd;
using auth::AuthScheme;
using core::Errc;

TEST_CASE("Authorization: the schemes that are known") {
    CHECK(auth::parse_authorization("", {})->scheme == AuthScheme::kNone);
    const auto negotiate = auth::parse_authorization("Negotiate aGVsbG8=", {});
    REQUIRE(negotiate);
    CHECK(negotiate->scheme == AuthScheme::kNegotiate);
    CHECK(negotiate->negotiate == "hello");
    CHECK(auth::parse_authorization("nEGOTIATE  aGVsbG8=", {})->negotiate == "hello");
    CHECK(auth::parse_authorization("Bearer a.b.c", {})->token == "a.b.c");
    CHECK(auth::parse_authorization("token=a.b.c", {})->scheme == AuthScheme::kToken);
}

TEST_CASE("Authorization: malformed values are 400, foreign schemes 401") {
    for (const char* value : {"Negotiate", "Negotiate !!!", "Negotiate aGVsbG8",
                              "Negotiate aGVs bG8=", "Bearer", "Bearer a b", "token=", "Bearer a\x01"}) {
        INFO(value);
        const auto parsed = auth::parse_authorization(value, {});
        REQUIRE_FALSE(parsed);
        CHECK(parsed.error().code == Errc::kInvalid);
    }
    CHECK(auth::parse_authorization("Digest x", {}).error().code == Errc::kUnauthenticated);
    CHECK(auth::parse_authorization("NegotiateX aGVsbG8=", {}).error().code == Errc::kUnauthenticated);
    CHECK_FALSE(auth::parse_authorization("Negotiate " + std::string(70000, 'A'), {}));
}

TEST_CASE("Basic is off by default and never goes over plain TCP") {
    const char* value = "Basic YWxpY2U6c2VjcmV0OngK";
    CHECK(auth::parse_authorization(value, {}).error().code == Errc::kUnauthenticated);
    CHECK(auth::parse_authorization(value, {.basic = false, .tls = true}).error().code ==
          Errc::kUnauthenticated);
    CHECK(auth::parse_authorization(value, {.basic = true, .tls = false}).error().code ==
          Errc::kUnauthenticated);
    const auto on = auth::parse_authorization(value, {.basic = true, .tls = true});
    REQUIRE(on);
    CHECK(on->user == "alice");
    CHECK(on->password == "secret:x\n");
    CHECK_FALSE(auth::parse_authorization("Basic YWxpY2U=", {.basic = true, .tls = true}));
}

TEST_CASE("Host must be ours") {
    const auth::HostRules rules{{"localhost", "127.0.0.1", "[::1]", "n1.example.com"}, 5050};
    for (const char* host : {"localhost:5050", "localhost", "LOCALHOST:5050", "127.0.0.1:5050", "[::1]:5050",
                             "n1.example.com.", "N1.example.COM"}) {
        INFO(host);
        CHECK(auth::check_host(host, rules));
    }
    for (const char* host : {"evil.example", "localhost.evil.example", "localhost:80", "localhost@evil", "",
                             "localhost:", "localhost:05050", "localhost:5050:1", "localhost:99999",
                             "local host", "[::1", "localhost/", "127.0.0.2"}) {
        INFO(host);
        CHECK_FALSE(auth::check_host(host, rules));
    }
    CHECK(auth::check_host("evil.example", rules).error().code == Errc::kDenied);
}

TEST_CASE("changes with ambient authority must be same-origin and JSON") {
    const auth::CrossSiteFacts curl{
        .method = "POST", .content_type = "application/json", .host = "localhost:5050"};
    CHECK(auth::check_cross_site(curl));

    auto browser = curl;
    browser.origin = "http://localhost:5050";
    browser.sec_fetch_site = "same-origin";
    CHECK(auth::check_cross_site(browser));
    browser.content_type = "application/json; charset=utf-8";
    CHECK(auth::check_cross_site(browser));
    browser.tls = true;  // then http:// is another origin
    CHECK_FALSE(auth::check_cross_site(browser));

    for (const char* site : {"cross-site", "same-site", "none"}) {
        auto foreign = curl;
        foreign.sec_fetch_site = site;
        CHECK(auth::check_cross_site(foreign).error().code == Errc::kDenied);
    }
    for (const char* origin : {"http://evil.example", "null", "http://localhost", "https://localhost:5050"}) {
        auto foreign = curl;
        foreign.origin = origin;
        INFO(origin);
        CHECK_FALSE(auth::check_cross_site(foreign));
    }
    for (const char* type : {"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data",
                             "application/jsonx"}) {
        auto form = curl;
        form.content_type = type;
        INFO(type);
        CHECK_FALSE(auth::check_cross_site(form));
    }
}

TEST_CASE("reading and explicit tokens are free of the cross-site rule") {
    CHECK(auth::check_cross_site({.method = "GET", .origin = "http://evil.example", .host = "localhost"}));
    CHECK(auth::check_cross_site(
        {.method = "POST", .origin = "http://evil.example", .host = "localhost", .ambient = false}));
    CHECK(auth::check_cross_site({.method = "DELETE", .host = "localhost"}));
    CHECK_FALSE(
        auth::check_cross_site({.method = "DELETE", .origin = "http://evil.example", .host = "localhost"}));
}

TEST_CASE("cookies") {
    CHECK(*auth::find_cookie("a=1; smack_session=x.y.z; b=2", auth::kSessionCookie) == "x.y.z");
    CHECK(*auth::find_cookie("a=1", auth::kSessionCookie) == "");
    CHECK(*auth::find_cookie("xsmack_session=1", auth::kSessionCookie) == "");
    CHECK_FALSE(auth::find_cookie("smack_session=a; smack_session=b", auth::kSessionCookie));
    CHECK_FALSE(auth::find_cookie("smack_session=a\"b", auth::kSessionCookie));
    CHECK(auth::session_cookie("t", 60, true) ==
          "__Host-smack_session=t; Path=/; Max-Age=60; HttpOnly; SameSite=Strict; Secure");
    CHECK(auth::session_cookie("t", 60, false) ==
          "smack_session=t; Path=/; Max-Age=60; HttpOnly; SameSite=Strict");
    CHECK(auth::expired_session_cookie(false).contains("Max-Age=0"));
}
