#include "storage/raft/barriers.h"

#include <catch2/catch_test_macros.hpp>

#include "storage/raft/repeated_line.h"

namespace smackd::storage {
namespace {

const core::Error kLost{core::Errc::kUnavailable, "leadership was lost", 0};

LogEntry entry(uint64_t index, uint64_t term) {
    return LogEntry{.index = {index}, .term = {term}, .type = EntryType::kBarrier, .payload = {}};
}

/// What each waiter was told: its index, or 0 for an error.
struct Told {
    std::vector<uint64_t> answers;
    Barriers::Done next() {
        return [this](core::Result<core::Index> result) { answers.push_back(result ? result->value : 0); };
    }
};

TEST_CASE("barriers that wait together share an entry, later ones wait for the next") {
    Barriers barriers;
    Told told;
    CHECK_FALSE(barriers.may_send());
    barriers.wait(told.next());
    barriers.wait(told.next());
    REQUIRE(barriers.may_send());
    barriers.sent({5}, {2});
    barriers.wait(told.next());
    CHECK_FALSE(barriers.may_send());
    barriers.applied(entry(4, 2), kLost);
    CHECK(told.answers.empty());
    barriers.applied(entry(5, 2), kLost);
    CHECK(told.answers == std::vector<uint64_t>{5, 5});
    REQUIRE(barriers.may_send());
    barriers.sent({6}, {2});
    barriers.applied(entry(6, 2), kLost);
    CHECK(told.answers == std::vector<uint64_t>{5, 5, 6});
}

TEST_CASE("a barrier whose place another entry took, or that a snapshot overtook, is lost") {
    Barriers barriers;
    Told told;
    barriers.wait(told.next());
    barriers.sent({5}, {2});
    barriers.applied(entry(5, 3), kLost);
    barriers.wait(told.next());
    barriers.sent({8}, {3});
    barriers.applied(entry(20, 4), kLost);
    CHECK(told.answers == std::vector<uint64_t>{0, 0});
}

TEST_CASE("all barriers fail together, sent or not") {
    Barriers barriers;
    Told told;
    barriers.wait(told.next());
    barriers.sent({5}, {2});
    barriers.wait(told.next());
    barriers.fail_all(kLost);
    CHECK(told.answers == std::vector<uint64_t>{0, 0});
    CHECK_FALSE(barriers.may_send());
    barriers.applied(entry(5, 2), kLost);
    CHECK(told.answers.size() == 2);
}

TEST_CASE("a repeated log line comes when it is news, and once a minute") {
    RepeatedLine line;
    core::Instant now;
    CHECK(line.due("the disk is full", now));
    for (int second = 1; second < 60; ++second)
        CHECK_FALSE(line.due("the disk is full", now + core::seconds{second}));
    CHECK(line.due("the disk is full", now + core::seconds{60}));
    CHECK(line.due("the disk is broken", now + core::seconds{61}));
    CHECK_FALSE(line.due("the disk is broken", now + core::seconds{62}));
    line.reset();
    CHECK(line.due("the disk is broken", now + core::seconds{63}));
}

}  // namespace
}  // namespace smackd::storage
