#include "cmd/smackd/commands/app_plan.h"

#include <catch2/catch_test_macros.hpp>

namespace smackd::cmd {
namespace {

std::string text_of(std::string_view plan) {
    auto json = core::Json::parse(plan);
    REQUIRE(json);
    return plan_text(*json);
}

TEST_CASE("a plan for people: fields, tasks, nodes") {
    CHECK(text_of(R"({"app": "/web", "effect": "restart", "complete": true,
        "changes": [{"path": "/cmd", "old": "a", "new": "b", "restarts": true},
                    {"path": "/env/A", "old": null, "new": "1", "restarts": true},
                    {"path": "/labels/x", "old": "1", "new": null, "restarts": false}],
        "tasks": {"wanted": 2, "kept": 0, "started": 2, "stopped": 2},
        "nodes": [{"host": "n1", "now": 2, "then": 1}, {"host": "n22", "now": 0, "then": 1}]})") ==
          "/web changes, and its tasks are replaced\n"
          "  ~ /cmd  \"a\" -> \"b\"  (replaces tasks)\n"
          "  + /env/A  \"1\"  (replaces tasks)\n"
          "  - /labels/x  \"1\"\n"
          "tasks: 2 wanted; 0 stay, 2 start, 2 end\n"
          "NODE  NOW  THEN\n"
          "n1    2    1\n"
          "n22   0    1\n");
}

TEST_CASE("a plan for people: what would wait, and what is hardly meant") {
    CHECK(text_of(R"({"app": "/web", "effect": "create", "complete": false, "changes": [],
        "tasks": {"wanted": 3, "kept": 0, "started": 1, "stopped": 0}, "nodes": [],
        "waiting": {"count": 2, "reason": "none of 1 nodes fits: 1 InsufficientCpus",
                    "nodes": [{"host": "n1", "reason": "InsufficientCpus", "text": "needs 1 cpus, 0 of 1 are free"}]},
        "warnings": ["label X does nothing"]})") ==
          "/web is new\n"
          "tasks: 3 wanted; 0 stay, 1 start, 0 end, 2 would wait\n"
          "2 would wait: none of 1 nodes fits: 1 InsufficientCpus\n"
          "NODE  REASON\n"
          "n1    InsufficientCpus  needs 1 cpus, 0 of 1 are free\n"
          "note: not foreseen to the end: the deployment has too many steps\n"
          "note: label X does nothing\n");
}

}  // namespace
}  // namespace smackd::cmd
