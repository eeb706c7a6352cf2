#include "storage/raft/proposals.h"

#include "core/assert.h"
#include "core/planted.h"
#include "core/wire/command.pb.h"
#include "core/wire/raft.pb.h"

namespace smackd::storage {
namespace {

constexpr uint32_t kBusyRetryMs = 100;
constexpr size_t kStampBytesMax = 11;
constexpr size_t kGroupOverheadBytes = 8;  // tag and length of a command in its group

}  // namespace

void stamp_time(core::Bytes& command, int64_t time_ms) {
    static_assert(wire::Command::kTimeMsFieldNumber == 6);
    command.push_back(static_cast<char>(6U << 3U));  // field 6, varint
    auto rest = static_cast<uint64_t>(time_ms);
    while (rest >= 0x80) {
        command.push_back(static_cast<char>((rest & 0x7F) | 0x80));
        rest >>= 7U;
    }
    command.push_back(static_cast<char>(rest));
}

core::Result<void> Proposals::admit(size_t bytes) const {
    if (count_ < kPendingCommandsMax && bytes_ + bytes <= kPendingBytesMax) return {};
    return std::unexpected(core::Error{
        core::Errc::kBusy,
        std::format("{} commands of together {} bytes are waiting already", count_, bytes_), kBusyRetryMs});
}

void Proposals::wait(core::Bytes command, Done done) {
    ++count_;
    bytes_ += command.size();
    waiting_.push_back(Command{.bytes = std::move(command), .done = std::move(done)});
}

core::Bytes Proposals::next_group(int64_t time_ms) {
    SMACK_ASSERT(made_.empty() && !waiting_.empty());
    wire::CommandGroup group;
    group.set_time_ms(time_ms);
    size_t bytes = kStampBytesMax;
    while (!waiting_.empty()) {
        const size_t next = waiting_.front().bytes.size() + kStampBytesMax + kGroupOverheadBytes;
        if (!made_.empty() && bytes + next > kEntryBytesMax) break;
        bytes += next;
        core::Bytes& stamped = *group.add_commands();
        stamped = waiting_.front().bytes;
        stamp_time(stamped, time_ms);
        made_.push_back(std::move(waiting_.front()));
        waiting_.pop_front();
    }
    return group.SerializeAsString();
}

void Proposals::sent(core::Index index, core::Term term) {
    Group& group = in_flight_[index.value];
    SMACK_ASSERT(group.commands.empty());
    group.term = term;
    group.commands = std::move(made_);
    made_.clear();
}

void Proposals::unsent() {
    while (!made_.empty()) {
        waiting_.push_front(std::move(made_.back()));
        made_.pop_back();
    }
}

void Proposals::release(const std::vector<Command>& commands) {
    count_ -= commands.size();
    for (const Command& command : commands) bytes_ -= command.bytes.size();
}

void Proposals::end(std::vector<Command> commands, const core::Error& error) {
    release(commands);
    for (Command& command : commands) command.done(std::unexpected(error));
}

void Proposals::applied(core::Index index, core::Term term, std::vector<core::Bytes> results) {
    const auto found = in_flight_.find(index.value);
    if (found == in_flight_.end()) return;
    Group group = std::move(found->second);
    in_flight_.erase(found);
    if (group.term != term && !SMACK_BUG("answer_for_other_term")) {
        const core::Error replaced{core::Errc::kUnavailable,
                                   "leadership changed before the command was stored", 0};
        return end(std::move(group.commands), replaced);
    }
    if (results.size() != group.commands.size()) {
        // The state held the entry already, so its results are gone: the retry finds them by client and
        // sequence.
        const core::Error unknown{core::Errc::kUnknownOutcome, "the command was applied before a restart", 0};
        return end(std::move(group.commands), unknown);
    }
    release(group.commands);
    for (size_t i = 0; i < results.size(); ++i) group.commands[i].done(std::move(results[i]));
}

void Proposals::leadership_lost(core::Index commit, const core::Error& error) {
    end_above(commit, error,
              core::Error{core::Errc::kUnknownOutcome,
                          "leadership was lost before the command was known to be stored", 0});
}

/// What waits was not done; what is in an entry above `index` may be.
void Proposals::end_above(core::Index index, const core::Error& not_done, const core::Error& unknown) {
    std::vector<Command> waiting;
    for (Command& command : waiting_) waiting.push_back(std::move(command));
    waiting_.clear();
    std::vector<Command> sent;
    for (auto group = in_flight_.upper_bound(index.value); group != in_flight_.end();) {
        for (Command& command : group->second.commands) sent.push_back(std::move(command));
        group = in_flight_.erase(group);
    }
    end(std::move(waiting), not_done);
    end(std::move(sent), unknown);
}

void Proposals::stalled(const core::Error& error) {
    const core::Error unknown{core::Errc::kUnknownOutcome,
                              error.message + "; this change may be in the log and then takes effect later",
                              0};
    end_above(core::Index{0}, error, unknown);
}

void Proposals::overtaken(core::Index index) {
    std::vector<Command> unknown;
    for (auto group = in_flight_.begin(); group != in_flight_.end() && group->first <= index.value;) {
        for (Command& command : group->second.commands) unknown.push_back(std::move(command));
        group = in_flight_.erase(group);
    }
    end(std::move(unknown), core::Error{core::Errc::kUnknownOutcome, "a snapshot has replaced the log", 0});
}

void Proposals::fail_all(const core::Error& error) {
    unsent();
    std::vector<Command> all;
    for (Command& command : waiting_) all.push_back(std::move(command));
    waiting_.clear();
    for (auto& [index, group] : in_flight_) {
        for (Command& command : group.commands) all.push_back(std::move(command));
    }
    in_flight_.clear();
    end(std::move(all), error);
}

}  // namespace smackd::storage
