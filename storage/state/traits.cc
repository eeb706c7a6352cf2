#include "storage/state/traits.h"

#include <algorithm>
#include <format>
#include <utility>

#include "core/policy.h"
#include "storage/state/limits.h"

namespace smackd::storage::state {
namespace {

/// Lite messages keep unknown fields but have no accessor; a derived class may look at the protected member.
struct Peek : google::protobuf::MessageLite {
    static bool has_unknown_parts(const google::protobuf::MessageLite& message) {
        return (message.*(&Peek::_internal_metadata_)).have_unknown_fields();
    }
};

uint32_t known(const google::protobuf::MessageLite& message) {
    return Peek::has_unknown_parts(message) ? kLevelUnknown : 1;
}

std::string token_key(const wire::RevokeTokens& tokens) {
    return tokens.token_id().empty() ? tokens.principal() : tokens.principal() + "/" + tokens.token_id();
}

ChangeTraits rule_traits(const wire::PutRule& rule) {
    const bool host = std::ranges::contains(rule.actions(), core::action_name(core::Action::kHost));
    uint32_t level = host ? kLevelOfNames : rule.note().empty() ? 1U : 2U;
    if (core::is_of_tasks(rule.subject())) level = kLevelOfTaskActors;
    return {"put_rule", rule.id(), std::max(known(rule), level)};
}

ChangeTraits node_traits(const wire::PutNode& node) {
    const bool admitted = node.roles_size() > 0 || !node.zone().empty() || node.generation() != 0 ||
                          node.epoch() != 0 || !node.public_key_sha256().empty() || node.proved_ms() != 0;
    return {"put_node", std::to_string(node.node_id()), std::max(known(node), admitted ? 2U : 1U)};
}

ChangeTraits exec_traits(const wire::NoteExec& exec) {
    std::string more = std::format("{} on {} from {}", exec.program(), exec.machine(), exec.source());
    if (exec.late()) more += " (recorded late: the cluster had no leader)";
    return {"exec", exec.task(), std::max(known(exec), kLevelOfExecNotes), std::move(more)};
}

ChangeTraits app_traits(const wire::Change& change) {
    using Body = wire::Change::BodyCase;
    switch (change.body_case()) {
        case Body::kPutApp:
            return {"put_app", change.put_app().app().id(), std::max(known(change.put_app()), kLevelOfApps)};
        case Body::kRemoveApp:
            return {"remove_app", change.remove_app().id(),
                    std::max(known(change.remove_app()), kLevelOfApps)};
        case Body::kPutTask:
            return {"put_task", change.put_task().task().id(),
                    std::max(known(change.put_task()), kLevelOfApps)};
        case Body::kRemoveTask:
            return {"remove_task", change.remove_task().id(),
                    std::max(known(change.remove_task()), kLevelOfApps)};
        case Body::kPutDeployment:
            return {"put_deployment", change.put_deployment().deployment().id(),
                    std::max(known(change.put_deployment()), kLevelOfApps)};
        case Body::kRemoveDeployment:
            return {"remove_deployment", change.remove_deployment().id(),
                    std::max(known(change.remove_deployment()), kLevelOfApps)};
        case Body::kUpdateTaskStatus:
            return {"update_task_status", change.update_task_status().task_id(),
                    std::max(known(change.update_task_status()), kLevelOfApps)};
        case Body::kPutAppBackoff:
            return {"put_app_backoff", change.put_app_backoff().backoff().app_id(),
                    std::max(known(change.put_app_backoff()), kLevelOfApps)};
        case Body::kPutAppGroup:
            return {"put_app_group", change.put_app_group().group().id(),
                    std::max(known(change.put_app_group()), kLevelOfApps)};
        case Body::kRemoveAppGroup:
            return {"remove_app_group", change.remove_app_group().id(),
                    std::max(known(change.remove_app_group()), kLevelOfApps)};
        case Body::kPutNodeCapacity:
            return {"put_node_capacity", std::to_string(change.put_node_capacity().capacity().node_id()),
                    std::max(known(change.put_node_capacity()), kLevelOfApps)};
        default:
            return {"unknown", "", kLevelUnknown};
    }
}

ChangeTraits body_traits(const wire::Change& change) {
    using Body = wire::Change::BodyCase;
    switch (change.body_case()) {
        case Body::kInitCluster:
            return {"init_cluster", "", known(change.init_cluster())};
        case Body::kRaiseFeatureLevel:
            return {"raise_feature_level", "", known(change.raise_feature_level())};
        case Body::kRaiseEpoch:
            return {"raise_epoch", "", known(change.raise_epoch())};
        case Body::kPutMachine:
            return {"put_machine", change.put_machine().name(), known(change.put_machine())};
        case Body::kRemoveMachine:
            return {"remove_machine", change.remove_machine().name(), known(change.remove_machine())};
        case Body::kPutNode:
            return node_traits(change.put_node());
        case Body::kRemoveNode:
            return {"remove_node", std::to_string(change.remove_node().node_id()),
                    known(change.remove_node())};
        case Body::kAdmitNode:
            return {"admit_node", std::to_string(change.admit_node().node_id()),
                    std::max(known(change.admit_node()), 2U)};
        case Body::kDrainNode:
            return {"drain_node", std::to_string(change.drain_node().node_id()),
                    std::max(known(change.drain_node()), kLevelOfDrains)};
        case Body::kUndrainNode:
            return {"undrain_node", std::to_string(change.undrain_node().node_id()),
                    std::max(known(change.undrain_node()), kLevelOfDrains)};
        case Body::kPutUser:
            return {"put_user", change.put_user().name(), known(change.put_user())};
        case Body::kRemoveUser:
            return {"remove_user", change.remove_user().name(), known(change.remove_user())};
        case Body::kPutGroup:
            return {"put_group", change.put_group().name(), known(change.put_group())};
        case Body::kRemoveGroup:
            return {"remove_group", change.remove_group().name(), known(change.remove_group())};
        case Body::kPutRule:
            return rule_traits(change.put_rule());
        case Body::kRemoveRule:
            return {"remove_rule", change.remove_rule().id(), known(change.remove_rule())};
        case Body::kPutPrincipal:
            return {"put_principal", change.put_principal().name(), known(change.put_principal())};
        case Body::kRemovePrincipal:
            return {"remove_principal", change.remove_principal().name(), known(change.remove_principal())};
        case Body::kPutSecret:
            return {"put_secret", change.put_secret().name(), known(change.put_secret())};
        case Body::kRemoveSecret:
            return {"remove_secret", change.remove_secret().name(), known(change.remove_secret())};
        case Body::kRevokeTokens:
            return {"revoke_tokens", token_key(change.revoke_tokens()), known(change.revoke_tokens())};
        case Body::kPutSetting:
            return {"put_setting", change.put_setting().name(), known(change.put_setting())};
        case Body::kPutDirectoryGroup:
            return {"put_directory_group", change.put_directory_group().sid(),
                    std::max(known(change.put_directory_group()), 5U)};
        case Body::kRemoveDirectoryGroup:
            return {"remove_directory_group", change.remove_directory_group().sid(),
                    std::max(known(change.remove_directory_group()), 5U)};
        case Body::kPutDirectoryUser:
            return {"put_directory_user", change.put_directory_user().user(),
                    std::max(known(change.put_directory_user()), 5U)};
        case Body::kPutBlob:
            return {"put_blob", change.put_blob().blob().name(),
                    std::max({known(change.put_blob()), known(change.put_blob().blob()), kLevelOfBlobs})};
        case Body::kRemoveBlob:
            return {"remove_blob", change.remove_blob().name(),
                    std::max(known(change.remove_blob()), kLevelOfBlobs)};
        case Body::kPutApp:
        case Body::kRemoveApp:
        case Body::kPutTask:
        case Body::kRemoveTask:
        case Body::kPutDeployment:
        case Body::kRemoveDeployment:
        case Body::kUpdateTaskStatus:
        case Body::kPutAppBackoff:
        case Body::kPutAppGroup:
        case Body::kRemoveAppGroup:
        case Body::kPutNodeCapacity:
            return app_traits(change);
        case Body::kNoteExec:
            return exec_traits(change.note_exec());
        case Body::BODY_NOT_SET:
            break;
    }
    return {"unknown", "", kLevelUnknown};
}

}  // namespace

ChangeTraits traits_of(const wire::Change& change) {
    ChangeTraits traits = body_traits(change);
    traits.level = std::max(traits.level, known(change));
    return traits;
}

uint32_t level_of(const wire::Command& command) {
    uint32_t level = std::max(known(command), known(command.actor()));
    for (const wire::Expect& expect : command.expected()) level = std::max(level, known(expect));
    for (const wire::Change& change : command.changes()) level = std::max(level, traits_of(change).level);
    return level;
}

std::string summarize(const wire::Command& command, size_t bytes_max) {
    std::string text;
    for (const wire::Change& change : command.changes()) {
        const ChangeTraits traits = traits_of(change);
        std::string one = text.empty() ? "" : ", ";
        one += traits.name;
        if (!traits.key.empty()) one += " " + traits.key;
        if (!traits.more.empty()) one += ": " + traits.more;
        if (text.size() + one.size() > bytes_max) return text + ", ...";
        text += one;
    }
    return text;
}

}  // namespace smackd::storage::state
