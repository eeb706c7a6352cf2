#include "storage/state/app_rows.h"

#include <array>

#include "storage/state/authorization.h"

namespace smackd::storage::state {

using core::Errc;

namespace {

template <class Message>
core::Result<std::optional<Message>> read_row(sqlite::Database& state, const char* sql,
                                              std::string_view key) {
    TRY_ASSIGN(auto cursor, state.query(sql, {key}));
    TRY_ASSIGN(const bool found, cursor.next());
    if (!found) return std::optional<Message>();
    Message message;
    const auto bytes = cursor.row().blob(0);
    if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
        return core::fail(Errc::kCorrupt, "the row of '{}' cannot be read", key);
    }
    return std::optional<Message>(std::move(message));
}

}  // namespace

core::Result<std::optional<wire::Task>> task_row(sqlite::Database& state, std::string_view id) {
    return read_row<wire::Task>(state, "SELECT task FROM tasks WHERE id = ?", id);
}

core::Result<std::optional<wire::Deployment>> deployment_row(sqlite::Database& state, std::string_view id) {
    return read_row<wire::Deployment>(state, "SELECT deployment FROM deployments WHERE id = ?", id);
}

core::Result<uint64_t> app_version(Writer& writer, std::string_view id) {
    TRY_ASSIGN(const auto version, row_version(writer.state(), "app", id, writer.position().feature_level));
    return version.value_or(0);
}

std::string_view task_state_name(wire::TaskState state) {
    static constexpr std::array<std::string_view, 14> names = {"",
                                                               "TASK_STAGING",
                                                               "TASK_STARTING",
                                                               "TASK_RUNNING",
                                                               "TASK_KILLING",
                                                               "TASK_FINISHED",
                                                               "TASK_FAILED",
                                                               "TASK_KILLED",
                                                               "TASK_ERROR",
                                                               "TASK_LOST",
                                                               "TASK_DROPPED",
                                                               "TASK_GONE",
                                                               "TASK_GONE_BY_OPERATOR",
                                                               "TASK_UNREACHABLE"};
    const auto index = static_cast<size_t>(state);
    return index < names.size() ? names[index] : "TASK_UNKNOWN";
}

Outcome<void> may_on_app(Writer& writer, core::Action action, const std::string& id) {
    const wire::Actor& actor = writer.command().actor();
    if (actor.kind() == wire::Actor::SYSTEM) return {};
    sqlite::Database& state = writer.state();
    if (actor.kind() == wire::Actor::TASK) {
        TRY_ASSIGN(const core::Subject task, task_subject(state, actor.principal()));
        TRY_ASSIGN(const auto rules, rules_of_tasks(state));
        return refused(core::authorize(rules, task, {action, "*", id}));
    }
    if (actor.kind() != wire::Actor::USER) return refuse(Errc::kDenied, "only users change applications");
    TRY_ASSIGN(const std::string user, user_of(state, actor.principal()));
    const uint32_t level = writer.position().feature_level;
    TRY_ASSIGN(const auto rules, rules_for(state, user, level));
    TRY_ASSIGN(auto groups, groups_of(state, user, level));
    return refused(core::authorize(rules, {user, std::move(groups)}, {action, "*", id}));
}

Outcome<void> may_touch_app(Writer& writer, const std::string& id) {
    for (const core::Action action : {core::Action::kChange, core::Action::kKill}) {
        auto allowed = may_on_app(writer, action, id);
        if (allowed || !allowed.error().refused) return allowed;
    }
    return may_on_app(writer, core::Action::kLaunch, id);
}

}  // namespace smackd::storage::state
