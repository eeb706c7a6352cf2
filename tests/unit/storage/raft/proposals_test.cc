#include "storage/raft/proposals.h"

#include <catch2/catch_test_macros.hpp>

#include "core/wire/command.pb.h"
#include "core/wire/raft.pb.h"

using namespace smackd;
using namespace smackd::storage;

namespace {

struct Answers {
    std::vector<std::string> texts;
    Proposals::Done take() {
        return [this](core::Result<core::Bytes> result) {
            texts.push_back(result ? *result : std::string(core::errc_name(result.error().code)));
        };
    }
};

}  // namespace

TEST_CASE("proposals: commands of a turn share an entry, each stamped with the leader's time") {
    Proposals proposals;
    Answers answers;
    wire::Command command;
    command.set_client(7);
    command.set_time_ms(1);  // the leader's stamp counts, not the caller's
    proposals.wait(command.SerializeAsString(), answers.take());
    proposals.wait("", answers.take());
    wire::CommandGroup group;
    REQUIRE(group.ParseFromString(proposals.next_group(1'700'000'000'123)));
    REQUIRE(group.commands_size() == 2);
    wire::Command stamped;
    REQUIRE(stamped.ParseFromString(group.commands(0)));
    CHECK(stamped.client() == 7);
    CHECK(stamped.time_ms() == 1'700'000'000'123);
    CHECK(group.time_ms() == 1'700'000'000'123);
    proposals.sent(core::Index{5}, core::Term{2});
    proposals.applied(core::Index{4}, core::Term{2}, {"no"});
    CHECK(answers.texts.empty());
    proposals.applied(core::Index{5}, core::Term{2}, {"one", "two"});
    CHECK(answers.texts == std::vector<std::string>{"one", "two"});
}

TEST_CASE("proposals: entries stay below the limit and nothing is left behind") {
    Proposals proposals;
    Answers answers;
    for (int i = 0; i < 12; ++i) proposals.wait(core::Bytes(kCommandBytesMax, 'x'), answers.take());
    int commands = 0;
    for (uint64_t index = 1; proposals.waiting(); ++index) {
        const core::Bytes payload = proposals.next_group(1);
        CHECK(payload.size() <= kEntryBytesMax);
        wire::CommandGroup group;
        REQUIRE(group.ParseFromString(payload));
        commands += group.commands_size();
        proposals.sent(core::Index{index}, core::Term{1});
    }
    CHECK(commands == 12);
}

TEST_CASE("proposals: pending commands are bounded, and the room comes back") {
    Proposals proposals;
    Answers answers;
    for (size_t i = 0; i < kPendingCommandsMax; ++i) {
        REQUIRE(proposals.admit(1).has_value());
        proposals.wait("x", answers.take());
    }
    const auto refused = proposals.admit(1);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == core::Errc::kBusy);
    CHECK(refused.error().retry_after_ms > 0);
    proposals.fail_all(core::Error{core::Errc::kCancelled, "", 0});
    CHECK(answers.texts.size() == kPendingCommandsMax);
    CHECK(proposals.admit(1).has_value());
}

TEST_CASE("proposals: a lost leadership is told apart from an entry that was replaced") {
    Proposals proposals;
    Answers answers;
    for (uint64_t index = 1; index <= 3; ++index) {
        proposals.wait("x", answers.take());
        proposals.next_group(1);
        proposals.sent(core::Index{index}, core::Term{1});
    }
    proposals.wait("queued", answers.take());
    // 1 and 2 are committed: their results still come. 3 may or may not be; what waited is not.
    proposals.leadership_lost(core::Index{2}, core::Error{core::Errc::kUnavailable, "", 0});
    CHECK(answers.texts == std::vector<std::string>{"unavailable", "unknown_outcome"});
    proposals.applied(core::Index{1}, core::Term{1}, {"done"});
    proposals.applied(core::Index{2}, core::Term{9}, {"another's"});
    CHECK(answers.texts == std::vector<std::string>{"unavailable", "unknown_outcome", "done", "unavailable"});
}
