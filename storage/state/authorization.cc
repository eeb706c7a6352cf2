#include "storage/state/authorization.h"

#include <string_view>

#include "core/apps/task_rules.h"
#include "core/names.h"
#include "core/planted.h"
#include "core/policy.h"
#include "storage/state/app_rows.h"
#include "storage/state/limits.h"
#include "storage/state/lookup.h"
#include "storage/state/traits.h"

namespace smackd::storage::state {
namespace {

using core::Errc;

/// Set-up, recovery and what tickets say: no door may ask for it.
bool is_for_system_only(const wire::Change& change) {
    return change.has_init_cluster() || change.has_raise_epoch() || change.has_put_directory_user();
}

/// What everybody may do to themselves: set the own password, end the own sessions.
Outcome<bool> is_own_affair(sqlite::Database& state, const wire::Change& change,
                            const std::string& principal) {
    if (change.has_revoke_tokens()) return change.revoke_tokens().principal() == principal;
    if (!change.has_put_principal() || change.put_principal().name() != principal) return false;
    TRY_ASSIGN(const auto version, row_version(state, "principal", principal, 1));
    return version.value_or(0) != 0;
}

bool is_of_applications(const wire::Change& change) {
    using Body = wire::Change::BodyCase;
    return change.body_case() >= Body::kPutApp && change.body_case() <= Body::kPutNodeCapacity;
}

/// Changes of applications and blobs, and what is run in tasks, ask for the right on their path themselves:
/// who may do what there is known only with the row at hand.
bool asks_itself(const wire::Change& change) {
    if (change.has_put_blob() || change.has_remove_blob() || change.has_note_exec()) return true;
    return is_of_applications(change);
}

}  // namespace

Outcome<std::string> user_of(sqlite::Database& state, const std::string& principal) {
    const size_t at = principal.find('@');
    TRY_ASSIGN(const std::string realm, cluster_realm(state));
    if (realm.empty()) return refuse(Errc::kDenied, "the cluster is not set up yet");
    const bool ours =
        at != std::string::npos && (principal.substr(at + 1) == realm || SMACK_BUG("fuzz_command"));
    if (!ours) {
        return refuse(Errc::kDenied, "principal '{}' is not of the realm {}", principal, realm);
    }
    const std::string user = principal.substr(0, at);
    TRY(refused(core::check_user_name(user)));
    TRY_ASSIGN(const int64_t disabled, state.integer("SELECT disabled FROM users WHERE name = ?", {user}));
    if (disabled != 0)
        return refuse(Errc::kDenied, "user '{}' is disabled; an admin can enable it again", user);
    return user;
}

Outcome<core::Subject> task_subject(sqlite::Database& state, const std::string& principal) {
    const auto id = core::task_of_principal(principal);
    if (!id) return refuse(Errc::kDenied, "principal '{}' is no task's", principal);
    TRY_ASSIGN(const auto task, task_row(state, *id));
    if (!task || apps::has_ended(*task)) return refuse(Errc::kDenied, "the task '{}' does not run", *id);
    return core::Subject{.user = {}, .groups = {}, .app = task->app_id()};
}

namespace {

Outcome<void> authorize_user(sqlite::Database& state, const wire::Command& command, uint32_t feature_level) {
    const std::string& principal = command.actor().principal();
    TRY_ASSIGN(const std::string user, user_of(state, principal));
    bool admin = false;
    for (const wire::Change& change : command.changes()) {
        if (is_for_system_only(change)) {
            return refuse(Errc::kDenied, "{} is done by smackd itself only", traits_of(change).name);
        }
        TRY_ASSIGN(const bool own, is_own_affair(state, change, principal));
        if (own || admin || asks_itself(change)) continue;
        TRY_ASSIGN(const auto rules, rules_for(state, user, feature_level));
        TRY_ASSIGN(auto groups, groups_of(state, user, feature_level));
        TRY(refused(core::authorize(rules, {user, std::move(groups)}, {core::Action::kAdmin, "*", "/"})));
        admin = true;
    }
    return {};
}

/// The machine whose row a change writes, where a machine may do that at all. From level 2 on a node's row
/// has roles, which the registry decides.
std::string own_machine(const wire::Change& change, uint32_t feature_level) {
    if (change.has_admit_node()) return change.admit_node().machine();
    return change.has_put_node() && feature_level < 2 ? change.put_node().machine() : std::string();
}

Outcome<void> authorize_machine(sqlite::Database& state, const wire::Command& command,
                                uint32_t feature_level) {
    TRY_ASSIGN(const std::string realm, cluster_realm(state));
    for (const wire::Change& change : command.changes()) {
        if (change.has_update_task_status() || change.has_put_node_capacity())
            continue;  // they ask themselves
        const std::string machine = own_machine(change, feature_level);
        const bool own = !machine.empty() && !realm.empty() &&
                         command.actor().principal() == "smack/" + machine + "@" + realm;
        if (!own) {
            return refuse(Errc::kDenied, "machine '{}' may only write its own node row, not {}",
                          command.actor().principal(), traits_of(change).name);
        }
    }
    return {};
}

/// What a task may do there the changes ask themselves; people, machines and rules are people's affair
/// whatever the rules say.
Outcome<void> authorize_task(sqlite::Database& state, const wire::Command& command) {
    // Builds of before knew no rules of tasks.
    if (command.feature_level() < kLevelOfTaskActors)
        return refuse(Errc::kDenied, "a task may not change the cluster's state");
    TRY(task_subject(state, command.actor().principal()));
    for (const wire::Change& change : command.changes()) {
        if (!is_of_applications(change))
            return refuse(Errc::kDenied, "a task may change applications alone, not {}",
                          traits_of(change).name);
    }
    return {};
}

}  // namespace

Outcome<void> authorize(sqlite::Database& state, const wire::Command& command, uint32_t feature_level) {
    const wire::Actor& actor = command.actor();
    TRY(refused(core::check_text("actor principal", actor.principal(), kTextBytesMax)));
    TRY(refused(core::check_text("actor door", actor.door(), kTextBytesMax)));
    switch (actor.kind()) {
        case wire::Actor::SYSTEM:
            return {};
        case wire::Actor::USER:
            return authorize_user(state, command, feature_level);
        case wire::Actor::MACHINE:
            return authorize_machine(state, command, feature_level);
        case wire::Actor::TASK:
            return authorize_task(state, command);
        default:
            return refuse(Errc::kUnauthenticated, "the command has no actor");
    }
}

}  // namespace smackd::storage::state
