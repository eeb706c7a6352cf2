#include "core/ingress/forward.h"

#include <catch2/catch_test_macros.hpp>

namespace smackd::core::ingress {
namespace {

const ApiCredentials kApi{.cookies = {"smackd_session"}, .hosts = {"n1"}, .token_issuer = "cluster-1"};

std::string forwarded(const std::string& text, std::string_view sticky = {}) {
    RequestHead head;
    HeadFailure failure;
    REQUIRE(parse_request_head(text, head, failure) == HeadState::kComplete);
    Bytes out;
    write_request_head(head,
                       {.client = "10.0.0.7",
                        .tls = true,
                        .port = 443,
                        .backend = "b",
                        .sticky_cookie = sticky,
                        .api = &kApi},
                       out);
    return out;
}

TEST_CASE("a request goes on with its own fields and without those of the connection") {
    CHECK(forwarded(
              "GET /x HTTP/1.1\r\nHost: N1:80\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\n"
              "TE: trailers\r\nProxy-Authorization: x\r\nUpgrade: h2c\r\nX-Own: 2\r\nX-Forwarded-For: "
              "1.2.3.4\r\n"
              "X-Forwarded-Proto: http\r\n\r\n") ==
          "GET /x HTTP/1.1\r\nHost: N1:80\r\nX-Own: 2\r\nX-Forwarded-For: 1.2.3.4, "
          "10.0.0.7\r\nX-Forwarded-Proto: https\r\n"
          "X-Forwarded-Port: 443\r\nX-Forwarded-Host: N1:80\r\n\r\n");
}

TEST_CASE("framing is written anew, upgrades are kept") {
    const std::string chunked = forwarded("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\n\r\n");
    CHECK(chunked.contains("Transfer-Encoding: chunked\r\n"));
    const std::string socket = forwarded(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n");
    CHECK(socket.ends_with("Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"));
    CHECK(forwarded("GET / HTTP/1.0\r\n\r\n").contains("Host: b\r\n"));
}

TEST_CASE("what opens our API does not reach a backend") {
    auto with = [](const std::string& field, const std::string& host = "n1") {
        return forwarded("GET / HTTP/1.1\r\nHost: " + host + "\r\n" + field + "\r\n\r\n");
    };
    CHECK_FALSE(with("Authorization: Negotiate abc").contains("Authorization"));
    CHECK(with("Authorization: Negotiate abc", "p1.dcos")
              .contains("Negotiate abc"));  // another service's ticket
    CHECK_FALSE(with("Authorization: token=abc", "p1.dcos").contains("Authorization"));
    CHECK(with("Authorization: Basic abc").contains("Basic abc"));
    const std::string ours = "e30." + to_base64url(R"({"iss":"cluster-1"})") + ".c2ln";
    const std::string theirs = "e30." + to_base64url(R"({"iss":"else"})") + ".c2ln";
    CHECK_FALSE(with("Authorization: Bearer " + ours, "p1.dcos").contains("Authorization"));
    CHECK(with("Authorization: Bearer " + theirs).contains("Bearer"));
    CHECK_FALSE(with("Cookie: smackd_session=secret").contains("Cookie"));
    CHECK(with("Cookie: a=1; smackd_session=secret; b=2").contains("Cookie: a=1; b=2\r\n"));
    CHECK(forwarded("GET / HTTP/1.1\r\nHost: a\r\nCookie: mesosphere_server_id=1f; x=y\r\n\r\n",
                    "mesosphere_server_id")
              .contains("Cookie: x=y\r\n"));
}

TEST_CASE("an answer gets our framing, and cannot set our cookies") {
    ResponseHead head;
    HeadFailure failure;
    REQUIRE(parse_response_head(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: X-Hop\r\nX-Hop: 1\r\n"
                "Set-Cookie: smackd_session=evil\r\nSet-Cookie: a=b\r\nX-Own: 1\r\n\r\n",
                head, failure) == HeadState::kComplete);
    Bytes out;
    write_response_head(
        head,
        {.framing = BodyFraming::kChunked, .close = true, .hsts = true, .set_cookie = "s=1", .api = &kApi},
        out);
    CHECK(
        out ==
        "HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nX-Own: 1\r\nTransfer-Encoding: chunked\r\nSet-Cookie: s=1\r\n"
        "Cache-Control: private\r\nStrict-Transport-Security: max-age=15768000\r\nConnection: close\r\n\r\n");
}

}  // namespace
}  // namespace smackd::core::ingress
