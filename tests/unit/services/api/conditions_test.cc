#include "services/api/conditions.h"

#include <catch2/catch_test_macros.hpp>

using namespace smackd;
using net::http::Request;
using services::Idempotency;
using services::ReadConditions;
using services::WriteConditions;

namespace {

Request request_with(std::initializer_list<std::pair<const char*, const char*>> headers,
                     std::string target = "/x") {
    Request request;
    request.method = "PUT";
    request.raw_target = target;
    for (const auto& [name, value] : headers) request.headers.add(name, value);
    return request;
}

Request query(std::string name, std::string value) {
    Request request = request_with({});
    request.target.query.emplace_back(std::move(name), std::move(value));
    return request;
}

}  // namespace

TEST_CASE("If-Match becomes an expected version of this epoch") {
    const auto conditions = WriteConditions::of(request_with({{"If-Match", "\"3.42\""}}));
    REQUIRE(conditions);
    wire::Command command;
    REQUIRE(conditions->apply_to(command, "user", "alice", {3, 100}));
    REQUIRE(command.expected_size() == 1);
    CHECK(command.expected(0).kind() == "user");
    CHECK(command.expected(0).key() == "alice");
    CHECK(command.expected(0).version() == 42);

    const auto restored = conditions->apply_to(command, "user", "alice", {4, 100});
    REQUIRE(!restored);
    CHECK(restored.error().code == core::Errc::kConflict);
}

TEST_CASE("malformed and contradicting versions are refused") {
    CHECK(!WriteConditions::of(request_with({{"If-Match", "3.42"}})));
    CHECK(!WriteConditions::of(request_with({{"If-Match", "\"3\""}})));
    CHECK(!WriteConditions::of(request_with({{"If-Match", "\"3.42\""}, {"If-None-Match", "*"}})));
    Request both = query("if_version", "3.43");
    both.headers.add("If-Match", "\"3.42\"");
    CHECK(!WriteConditions::of(both));
}

TEST_CASE("If-None-Match: * expects no row") {
    const auto conditions = WriteConditions::of(request_with({{"If-None-Match", "*"}}));
    REQUIRE(conditions);
    wire::Command command;
    REQUIRE(conditions->apply_to(command, "user", "alice", {3, 100}));
    CHECK(command.expected(0).version() == 0);
}

TEST_CASE("no condition expects nothing") {
    const auto conditions = WriteConditions::of(request_with({}));
    REQUIRE(conditions);
    wire::Command command;
    REQUIRE(conditions->apply_to(command, "user", "alice", {3, 100}));
    CHECK(command.expected_size() == 0);
}

TEST_CASE("a retry is the same command, anything else is not") {
    const Request request = request_with({{"Idempotency-Key", "k1"}});
    const auto first = Idempotency::of(request, "alice@R", "{}");
    const auto again = Idempotency::of(request, "alice@R", "{}");
    REQUIRE(first);
    CHECK(first->client != 0);
    CHECK(first->sequence != 0);
    CHECK(first->client == again->client);
    CHECK(first->sequence == again->sequence);
    CHECK(first->client != Idempotency::of(request, "bob@R", "{}")->client);
    CHECK(first->client != Idempotency::of(request, "alice@R", "{ }")->client);
    CHECK(first->client !=
          Idempotency::of(request_with({{"Idempotency-Key", "k1"}}, "/y"), "alice@R", "{}")->client);
    CHECK(Idempotency::of(request_with({}), "alice@R", "{}")->client == 0);
    CHECK(!Idempotency::of(request_with({{"Idempotency-Key", ""}}), "alice@R", "{}"));
    const std::string long_key(services::kIdempotencyKeyBytesMax + 1, 'x');
    CHECK(!Idempotency::of(request_with({{"Idempotency-Key", long_key.c_str()}}), "alice@R", "{}"));
}

TEST_CASE("read conditions have bounds and name the parameter") {
    CHECK(ReadConditions::of(query("min_revision", "2.7"))->min_revision == core::Revision{2, 7});
    CHECK(ReadConditions::of(query("consistent", "true"))->consistent);
    CHECK_FALSE(ReadConditions::of(query("x", "y"))->consistent);
    CHECK(ReadConditions::of(query("wait_ms", "250"))->wait == core::milliseconds(250));
    for (const char* wrong : {"-1", "30001", "1s", ""}) {
        const auto refused = ReadConditions::of(query("wait_ms", wrong));
        REQUIRE(!refused);
        CHECK(refused.error().message.starts_with("wait_ms"));
    }
    CHECK(!ReadConditions::of(query("min_revision", "7")));
    CHECK(!ReadConditions::of(query("consistent", "perhaps")));
}
