// What of a task's request crosses to a server, and what of the answer comes back.
#include "services/api/task_request.h"

#include <catch2/catch_test_macros.hpp>

#include "net/loop.h"
#include "net/scope.h"

using namespace smackd;
using net::http::Request;

namespace {

Request get(const std::string& target) {
    Request request;
    request.method = "GET";
    request.raw_target = target;
    return request;
}

}  // namespace

TEST_CASE("a request crosses with its body and what handlers read, and nothing else") {
    Request request = get("/v2/apps/team-a/web?embed=app.tasks");
    request.method = "PUT";
    request.headers.add("Content-Type", "application/json");
    request.headers.add("if-match", "\"3.42\"");
    request.headers.add("X-Forwarded-For", "10.0.0.1");
    request.headers.add("Host", "evil.example");
    request.headers.add("Accept", "\xcb");  // no UTF-8, which HTTP does not ask for
    auto asked = services::task_request_of("t1", request, "{}");
    REQUIRE(asked);
    CHECK(asked->fields_size() == 3);
    REQUIRE(asked->ParseFromString(asked->SerializeAsString()));
    auto made = services::http_request_of(std::move(*asked));
    REQUIRE(made);
    CHECK(made->request.path() == "/v2/apps/team-a/web");
    CHECK(made->request.query("embed") == "app.tasks");
    CHECK(made->request.headers.get("If-Match") == "\"3.42\"");
    CHECK(made->request.expects_body);
    net::Loop loop("test");
    CHECK(net::block_on(loop, made->request.body->read_all(10)).value() == "{}");
}

TEST_CASE("credentials of somebody else, odd methods and what is too long stay on the node") {
    for (const char* field : {"Authorization", "authorization", "Cookie", "Proxy-Authorization"}) {
        Request request = get("/v2/apps");
        request.headers.add(field, "Bearer x");
        const auto refused = services::task_request_of("t1", request, "");
        REQUIRE_FALSE(refused);
        CHECK(refused.error().message.contains("speaks for its task alone"));
    }
    for (const char* method : {"CONNECT", "OPTIONS", "get", "TRACE", ""}) {
        Request request = get("/v2/apps");
        request.method = method;
        CHECK_FALSE(services::task_request_of("t1", request, ""));
    }
    CHECK_FALSE(
        services::task_request_of("t1", get("/" + std::string(services::kTaskTargetBytesMax, 'x')), ""));
    CHECK_FALSE(services::task_request_of("t1", get("/"), core::Bytes(services::kTaskBodyBytesMax + 1, 'x')));
}

TEST_CASE("a server takes from a node only what a node sends") {
    wire::TaskRequest good = services::task_request_of("t1", get("/v2/apps"), "").value();
    REQUIRE(services::http_request_of(good));
    wire::TaskRequest method = good;
    method.set_method("PROPFIND");
    CHECK_FALSE(services::http_request_of(method));
    wire::TaskRequest target = good;
    target.set_target("/v2/../etc");
    CHECK_FALSE(services::http_request_of(target));
    for (const auto& [name, value] :
         {std::pair{"Authorization", "x"}, {"Host", "x"}, {"Accept", "a\r\nb: c"}}) {
        wire::TaskRequest field = good;
        field.add_fields()->set_name(name);
        field.mutable_fields(0)->set_value(value);
        CHECK_FALSE(services::http_request_of(field));
    }
    wire::TaskRequest long_body = good;
    long_body.set_body(std::string(services::kTaskBodyBytesMax + 1, 'x'));
    CHECK_FALSE(services::http_request_of(long_body));
}

TEST_CASE("an answer comes back whole, without ways to sign in; streams and long ones do not") {
    auto told = services::task_response_of(
        net::http::Response::json(401, "{}").with("WWW-Authenticate", "Negotiate").with("Retry-After", "1"));
    REQUIRE(told);
    auto response = services::http_response_of(*told);
    REQUIRE(response);
    CHECK(response->status == 401);
    CHECK(response->body == "{}");
    CHECK(response->headers.get("Retry-After") == "1");
    CHECK_FALSE(response->headers.has("WWW-Authenticate"));
    net::http::Response stream;
    stream.stream = [](net::http::BodyWriter&) -> net::Task<core::Result<void>> {
        co_return core::Result<void>();
    };
    CHECK(services::task_response_of(std::move(stream)).error().code == core::Errc::kUnsupported);
    const auto refused = services::task_response_of(
        net::http::Response::json(200, std::string(services::kTaskAnswerBytesMax + 1, ' ')));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message.contains("ask for less"));
    wire::TaskResponse odd = *told;
    odd.set_status(7);
    CHECK_FALSE(services::http_response_of(odd));
    odd = *told;
    odd.add_fields()->set_name("X Y");
    CHECK_FALSE(services::http_response_of(odd));
}
