#include "core/edge_table.h"

#include <catch2/catch_test_macros.hpp>

namespace smackd::core {
namespace {

wire::EdgeTable table() {
    wire::EdgeTable table;
    table.set_epoch(1);
    table.set_revision(5);
    table.add_apps()->set_id("/web");
    table.add_tasks()->set_id("t1");
    table.add_names()->set_name("p1.dcos");
    return table;
}

TEST_CASE("deltas follow a snapshot in the order of their revisions") {
    EdgeState state;
    REQUIRE(state.replace(table()));
    wire::EdgeDelta delta;
    delta.set_epoch(1);
    delta.set_revision(6);
    delta.add_tasks()->set_id("t2");
    delta.add_removed_tasks("t1");
    delta.add_removed_names("nobody");
    REQUIRE(state.apply(delta));
    CHECK(state.revision() == 6);
    CHECK(state.tasks().contains("t2"));
    CHECK_FALSE(state.tasks().contains("t1"));
    CHECK(state.names().contains("p1.dcos"));
}

TEST_CASE("what is both removed and given is there afterwards") {
    EdgeState state;
    REQUIRE(state.replace(table()));
    wire::EdgeDelta delta;
    delta.set_epoch(1);
    delta.set_revision(6);
    delta.add_removed_tasks("t1");
    wire::EdgeTask& task = *delta.add_tasks();
    task.set_id("t1");
    task.set_name("new");
    REQUIRE(state.apply(delta));
    CHECK(state.tasks().at("t1").name() == "new");
}

TEST_CASE("a delta that does not follow or is malformed changes nothing") {
    EdgeState state;
    REQUIRE(state.replace(table()));
    wire::EdgeDelta delta;
    delta.set_epoch(1);
    delta.set_revision(5);
    delta.add_removed_tasks("t1");
    CHECK(state.apply(delta).error().code == Errc::kConflict);
    delta.set_epoch(2);
    delta.set_revision(6);
    CHECK(state.apply(delta).error().code == Errc::kConflict);
    delta.set_epoch(1);
    delta.add_apps();
    CHECK(state.apply(delta).error().message == "apps: an entry without id or name");
    delta.mutable_apps(0)->set_id(std::string(kEdgeKeyBytesMax + 1, 'x'));
    CHECK(state.apply(delta).error().code == Errc::kInvalid);
    CHECK(state.revision() == 5);
    CHECK(state.tasks().contains("t1"));
    wire::EdgeTable wrong = table();
    wrong.add_tasks();
    CHECK_FALSE(state.replace(wrong));
    CHECK(state.tasks().size() == 1);
}

}  // namespace
}  // namespace smackd::core
