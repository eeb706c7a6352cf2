#include "core/agent_definitions.h"

#include <catch2/catch_test_macros.hpp>

using smackd::core::AgentDefinitions;

namespace {
constexpr const char* kWeb = "/web 1";
constexpr const char* kNewWeb = "/web 2";
}  // namespace

TEST_CASE("a definition is sent with the first of its tasks and goes with the last one") {
    AgentDefinitions agent;
    CHECK(agent.add("t1", kWeb));
    agent.sent(kWeb, 5);
    CHECK_FALSE(agent.add("t1", kWeb));  // a status
    CHECK_FALSE(agent.add("t2", kWeb));
    CHECK(agent.add("t3", kNewWeb));
    CHECK_FALSE(agent.remove("t1", kWeb));
    CHECK(agent.remove("t2", kWeb) == kWeb);
    // Its next task needs it again.
    CHECK(agent.add("t4", kWeb));
}

TEST_CASE("only what is newer and needed is news") {
    AgentDefinitions agent;
    CHECK_FALSE(agent.wants(kWeb, 9));
    agent.add("t1", kWeb);
    CHECK(agent.wants(kWeb, 0));
    agent.sent(kWeb, 5);
    CHECK_FALSE(agent.wants(kWeb, 5));
    CHECK(agent.wants(kWeb, 6));
    agent.remove("t1", kWeb);
    CHECK_FALSE(agent.wants(kWeb, 6));
}

TEST_CASE("of a task that this stream has not seen the definition goes too, unless another one needs it") {
    AgentDefinitions agent;
    CHECK(agent.remove("before", kWeb) == kWeb);
    CHECK_FALSE(agent.remove("unknown", ""));
    agent.add("t1", kWeb);
    CHECK_FALSE(agent.remove("before", kWeb));
    CHECK(agent.remove("t1", "") == kWeb);
}
