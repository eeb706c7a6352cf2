// The event stream: places, filters, policy, and its ends.
#include "tests/unit/services/api/world.h"

using namespace smackd;
using test::ApiWorld;

namespace {

auto contains(std::string wanted) {
    return [wanted](const std::string& text) { return text.contains(wanted); };
}

void put_group(ApiWorld& world, const std::string& name) {
    wire::Command command;
    command.set_feature_level(1);
    command.mutable_actor()->set_kind(wire::Actor::SYSTEM);
    command.mutable_actor()->set_principal("smackd");
    command.add_changes()->mutable_put_group()->set_name(name);
    REQUIRE(world.state->apply(std::move(command)).code() == 0);
}

}  // namespace

TEST_CASE("changes arrive as they are committed, with the place to resume from") {
    ApiWorld world;
    const std::string now = world.machine->revision().to_string();
    std::string text = world.stream("admin", "/smack/v1/events?from=now", {}, contains("event: group"),
                                    [&] { put_group(world, "ops"); });
    const std::string id = world.machine->revision().to_string();
    CHECK(text.contains("id: " + id + "\n"));
    CHECK(text.contains(R"("kind":"group","key":"ops","removed":false)"));
    CHECK_FALSE(text.contains("event: user"));

    // From a place in the past the same change comes again, and no other.
    text = world.stream("admin", "/smack/v1/events?follow=false", {{"Last-Event-ID", now}},
                        contains("event: end"));
    CHECK(text.contains("id: " + id + "\n"));
    text = world.stream("admin", "/smack/v1/events?follow=false", {{"Last-Event-ID", id}},
                        contains("event: end"));
    CHECK_FALSE(text.contains("event: group"));
}

TEST_CASE("without a place a stream begins at the oldest change") {
    ApiWorld world;
    const std::string text =
        world.stream("admin", "/smack/v1/events?follow=false&kind=user,group", {}, contains("event: end"));
    CHECK(text.contains(R"("key":"alice")"));
    CHECK(text.contains("event: group"));
    CHECK_FALSE(text.contains("event: rule"));
    CHECK_FALSE(text.contains("event: principal"));
}

TEST_CASE("a stream shows what its reader may see, and no key material to anybody") {
    ApiWorld world;
    const std::string bob = world.stream("bob", "/smack/v1/events?follow=false", {}, contains("event: end"));
    CHECK(bob.contains(R"("key":"bob")"));
    CHECK(bob.contains(R"("key":"shop")"));
    CHECK_FALSE(bob.contains(R"("key":"alice")"));
    CHECK_FALSE(bob.contains("event: principal"));
    const std::string admin =
        world.stream("admin", "/smack/v1/events?follow=false&kind=principal", {}, contains("event: end"));
    CHECK(admin.contains(R"("key":"admin@EXAMPLE.COM","removed":false)"));
    CHECK_FALSE(admin.contains("record"));
    CHECK(world.stream("alice", "/smack/v1/events", {}, contains("status 403")).starts_with("status 403"));
}

TEST_CASE("a place of another epoch is answered by reset") {
    ApiWorld world;
    const std::string text = world.stream("admin", "/smack/v1/events?follow=false",
                                          {{"Last-Event-ID", "0.3"}}, contains("event: end"));
    CHECK(text.contains("event: reset"));
    CHECK(text.contains("\"revision\":\"" + world.machine->revision().to_string() + "\""));
    CHECK(world.as("admin", "GET", "/smack/v1/events", {}, {{"Last-Event-ID", "x"}}).status == 422);
}

TEST_CASE("a quiet stream is kept alive, and ends when its token does") {
    ApiWorld world;
    std::string text = world.stream("admin", "/smack/v1/events?from=now", {}, contains("\n:"));
    CHECK_FALSE(text.contains("event: end"));
    text = world.stream("admin", "/smack/v1/events?from=now", {}, contains("event: end"),
                        [&] { world.clock.wall_offset += std::chrono::hours(2); });
    CHECK(text.contains("expired"));
}

TEST_CASE("a stream ends when its reader loses the right to it") {
    ApiWorld world;
    const std::string text =
        world.stream("bob", "/smack/v1/events?from=now", {}, contains("event: end"), [&] {
            wire::Command command;
            command.set_feature_level(1);
            command.mutable_actor()->set_kind(wire::Actor::SYSTEM);
            command.mutable_actor()->set_principal("smackd");
            command.add_changes()->mutable_remove_rule()->set_id("shop");
            REQUIRE(world.state->apply(std::move(command)).code() == 0);
        });
    CHECK(text.contains("no rule lets user 'bob' view"));
}
