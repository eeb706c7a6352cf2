#include "core/apps/leases.h"

#include <catch2/catch_test_macros.hpp>

using namespace smackd;
using apps::kLeaseOver;
using apps::LeaseWatch;
using core::Instant;
using core::seconds;

namespace {

wire::Task leased(wire::TaskState state, int64_t unreachable_ms = 0) {
    wire::Task task;
    task.set_id("one");
    task.set_lease_generation(7);
    task.mutable_status()->set_state(state);
    task.mutable_status()->set_unreachable_ms(unreachable_ms);
    return task;
}

bool is_over(LeaseWatch& watch, const wire::Task& task, core::Duration at) {
    return watch.over({&task}, Instant{at}).contains("one");
}

}  // namespace

TEST_CASE("a lease is over when the node was seen unreachable in the state for long enough") {
    LeaseWatch watch;
    const wire::Task away = leased(wire::TASK_UNREACHABLE, 1000);
    CHECK_FALSE(is_over(watch, away, seconds(100)));  // however long ago the status was set
    CHECK(watch.next(Instant{seconds(101)}) == kLeaseOver - seconds(1));
    CHECK_FALSE(is_over(watch, away, seconds(100) + kLeaseOver - core::milliseconds(1)));
    CHECK(is_over(watch, away, seconds(100) + kLeaseOver));
    CHECK_FALSE(watch.next(Instant{seconds(100) + kLeaseOver}));
}

TEST_CASE("a node that was back meanwhile has a new lease") {
    LeaseWatch watch;
    CHECK_FALSE(is_over(watch, leased(wire::TASK_UNREACHABLE, 1000), seconds(0)));
    CHECK_FALSE(is_over(watch, leased(wire::TASK_RUNNING), seconds(10)));
    CHECK_FALSE(watch.next(Instant{seconds(10)}));
    CHECK_FALSE(is_over(watch, leased(wire::TASK_UNREACHABLE, 1000), seconds(20)));
    // Unseen between two looks.
    CHECK_FALSE(is_over(watch, leased(wire::TASK_UNREACHABLE, 2000), seconds(34)));
    CHECK(is_over(watch, leased(wire::TASK_UNREACHABLE, 2000), seconds(34) + kLeaseOver));
}

TEST_CASE("a task without a lease is not watched") {
    LeaseWatch watch;
    wire::Task task = leased(wire::TASK_UNREACHABLE, 1);
    task.set_lease_generation(0);
    CHECK_FALSE(is_over(watch, task, seconds(0)));
    CHECK_FALSE(is_over(watch, task, seconds(1000)));
}
