#include "storage/state/command.h"

#include <algorithm>

#include "core/planted.h"
#include "core/wire/serialize.h"
#include "storage/state/authorization.h"
#include "storage/state/changes.h"
#include "storage/state/lookup.h"
#include "storage/state/results.h"
#include "storage/state/traits.h"

namespace smackd::storage::state {
namespace {

using core::Errc;

core::Bytes result_of(const Position& position, const core::Error* error) {
    wire::CommandResult result;
    if (error != nullptr) {
        result.set_code(static_cast<uint32_t>(error->code));
        result.set_message(error->message);
    }
    result.set_epoch(position.epoch);
    result.set_revision(position.revision);
    return serialize(result);
}

uint32_t declared_level(const wire::Command& command) {
    return std::max(1U, command.feature_level());
}

/// What is wrong with the command itself, whatever the state.
Outcome<void> check_shape(const wire::Command& command) {
    // A node that knows the parts must refuse as one that does not, or the two would part ways.
    if (level_of(command) > declared_level(command)) {
        return refuse(Errc::kUnsupported, "the command has parts above the feature level {} that it declares",
                      declared_level(command));
    }
    if (command.changes().empty()) return refuse(Errc::kInvalid, "the command has no changes");
    if (command.changes_size() > kChangesPerCommandMax || command.expected_size() > kExpectedPerCommandMax) {
        return refuse(
            Errc::kInvalid, "the command has {} changes and {} expectations, the limits are {} and {}",
            command.changes_size(), command.expected_size(), kChangesPerCommandMax, kExpectedPerCommandMax);
    }
    return {};
}

Outcome<void> check_expected(Writer& writer, const wire::Command& command) {
    if (SMACK_BUG("ignore_expected_version")) return {};
    for (const wire::Expect& expect : command.expected()) {
        TRY_ASSIGN(const auto version,
                   row_version(writer.state(), expect.kind(), expect.key(), writer.position().feature_level));
        if (!version)
            return refuse(Errc::kInvalid, "expected kind '{}': no such kind", expect.kind().substr(0, 64));
        if (*version == expect.version()) continue;
        return refuse(Errc::kConflict, "{} '{}' is at version {}, not {}: read it again and decide anew",
                      expect.kind(), expect.key().substr(0, 64), *version, expect.version());
    }
    return {};
}

/// News of tasks by their nodes: the feed has them, nobody decided anything.
bool is_news(const wire::Command& command) {
    return std::ranges::all_of(command.changes(),
                               [](const wire::Change& change) { return change.has_update_task_status(); });
}

core::Result<void> write_audit(Writer& writer, const wire::Command& command) {
    if (is_news(command)) return {};
    if (SMACK_BUG("audit_forgotten")) return {};
    const Position& position = writer.position();
    const char* kind = "system";
    if (command.actor().kind() == wire::Actor::USER) kind = "user";
    if (command.actor().kind() == wire::Actor::MACHINE) kind = "machine";
    if (command.actor().kind() == wire::Actor::TASK) kind = "task";
    return writer.state().run(
        "INSERT INTO audit VALUES(?, ?, ?, ?, ?, ?, ?)",
        {position.revision, position.epoch, position.time_ms, kind, command.actor().principal(),
         command.actor().door(), summarize(command, kTextBytesMax)});
}

Outcome<void> make_changes(Writer& writer, const CommandRules& rules, core::Term term) {
    const wire::Command& command = writer.command();
    TRY(check_shape(command));
    if (command.feature_level() > writer.position().feature_level) {
        return refuse(Errc::kUnsupported,
                      "the command needs feature level {}, the cluster is at {}: upgrade all servers, "
                      "then raise it",
                      command.feature_level(), writer.position().feature_level);
    }
    if (command.proposer_term() != 0 && command.proposer_term() != term.value) {
        return refuse(Errc::kConflict, "decided in term {} by a leader that is none any more (term {})",
                      command.proposer_term(), term.value);
    }
    TRY(authorize(writer.state(), command, writer.position().feature_level));
    TRY(check_expected(writer, command));
    for (const wire::Change& change : command.changes())
        TRY(apply_change(writer, change, rules.feature_level_max));
    TRY(write_audit(writer, command));
    return {};
}

core::Result<core::Bytes> finish(Writer& writer, const CommandRules& rules, const wire::Command& command,
                                 const core::Error* refusal) {
    core::Bytes result = result_of(writer.position(), refusal);
    TRY(record_result(writer, rules.retention, command, result));
    TRY(expire(writer, rules.retention));
    return result;
}

}  // namespace

core::Result<core::Bytes> apply_command(Writer& writer, const CommandRules& rules, core::Term term,
                                        core::BytesView bytes) {
    wire::Command command;
    if (!command.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
        const core::Error error{Errc::kInvalid, "the bytes are no wire.Command", 0};
        return result_of(writer.position(), &error);
    }
    if (command.feature_level() > rules.feature_level_max) {
        return core::fail(Errc::kUnsupported,
                          "a command needs feature level {}, this version knows {}: install a newer "
                          "smackd on this server",
                          command.feature_level(), rules.feature_level_max);
    }
    if (command.client() != 0) {
        TRY_ASSIGN(auto known, find_result(writer, rules.retention, command.client(), command.sequence()));
        if (known) return std::move(*known);
    }
    Position& position = writer.position();
    position.time_ms = std::max(position.time_ms, command.time_ms());
    if (SMACK_BUG("time_runs_backwards")) position.time_ms = command.time_ms();
    if (SMACK_BUG("apply_not_deterministic"))
        position.time_ms += static_cast<int64_t>(rules.skew_for_planted_bug);

    TRY(writer.begin_command(command, command.changes_size() > 1));
    if (auto made = make_changes(writer, rules, term); !made) {
        if (!made.error().refused) return std::unexpected(std::move(made.error().error));
        TRY(writer.drop_command());
        return finish(writer, rules, command, &made.error().error);
    }
    TRY(writer.keep_command());
    return finish(writer, rules, command, nullptr);
}

}  // namespace smackd::storage::state
