#include "services/api/router.h"

#include <array>
#include <catch2/catch_test_macros.hpp>

#include "services/api/reply.h"

using namespace smackd;
using services::Route;
using services::Router;

namespace {

constexpr std::array<Route, 4> kRoutes = {{{.method = "GET", .pattern = "/"},
                                           {.method = "GET", .pattern = "/users/{name}"},
                                           {.method = "DELETE", .pattern = "/users/{name}"},
                                           {.method = "POST", .pattern = "/users/{name}/keytab"}}};

}  // namespace

TEST_CASE("routes match whole paths") {
    const Router router{kRoutes};
    CHECK(router.match("GET", "/").route == &kRoutes[0]);
    const auto user = router.match("GET", "/users/alice");
    CHECK(user.route == &kRoutes[1]);
    CHECK(user.arguments == std::vector<std::string>{"alice"});
    CHECK(router.match("POST", "/users/alice/keytab").route == &kRoutes[3]);
    for (const char* path :
         {"/users", "/users/", "/users/alice/", "/users/alice/x", "/usersx", "", "x", "//"}) {
        const auto missed = router.match("GET", path);
        CHECK(missed.route == nullptr);
        CHECK(missed.allow.empty());
    }
}

TEST_CASE("a wrong method is told the right ones") {
    const Router router{kRoutes};
    const auto missed = router.match("PUT", "/users/alice");
    CHECK(missed.route == nullptr);
    CHECK(missed.allow == "GET, HEAD, DELETE");
    CHECK(router.match("HEAD", "/users/alice").route == &kRoutes[1]);
}

TEST_CASE("a part with dots takes several components") {
    constexpr std::array<Route, 3> routes = {
        {{.method = "GET", .pattern = "/apps/{id...}/versions/{version}"},
         {.method = "GET", .pattern = "/apps/{id...}/tasks"},
         {.method = "GET", .pattern = "/apps/{id...}"}}};
    const Router router{routes};
    const auto match = [&](std::string_view path) { return router.match("GET", path); };
    CHECK(match("/apps/a/b/versions/7").arguments == std::vector<std::string>{"a/b", "7"});
    CHECK(match("/apps/a/b/tasks").route == &routes[1]);
    CHECK(match("/apps/a/b/tasks").arguments == std::vector<std::string>{"a/b"});
    CHECK(match("/apps/a/tasks/b").arguments == std::vector<std::string>{"a/tasks/b"});
    CHECK(match("/apps//a").arguments == std::vector<std::string>{"/a"});
    CHECK(match("/apps/tasks").route == &routes[2]);
    for (const char* path : {"/apps", "/apps/", "/apps//", "/app/a"}) CHECK(match(path).route == nullptr);
}

TEST_CASE("errors have one shape") {
    const auto busy = services::error_reply({core::Errc::kBusy, "full", 1500});
    CHECK(busy.status == 503);
    CHECK(busy.headers.get("Retry-After") == "2");
    CHECK(busy.body == "{\"error\":{\"code\":\"busy\",\"message\":\"full\",\"retry_after_ms\":1500}}\n");
    const auto missing = services::error_reply({core::Errc::kNotFound, "no user 'x'", 0});
    CHECK(missing.status == 404);
    CHECK_FALSE(missing.headers.has("Retry-After"));
    CHECK(services::error_reply({core::Errc::kUnavailable, "no leader", 0}).headers.get("Retry-After") ==
          "1");
}
