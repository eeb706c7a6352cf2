#include "storage/state/changes.h"

#include "core/assert.h"

namespace smackd::storage::state {

Outcome<void> apply_change(Writer& writer, const wire::Change& change, uint32_t feature_level_max) {
    using Body = wire::Change::BodyCase;
    switch (change.body_case()) {
        case Body::kInitCluster:
            return init_cluster(writer, change.init_cluster());
        case Body::kRaiseFeatureLevel:
            return raise_feature_level(writer, change.raise_feature_level(), feature_level_max);
        case Body::kRaiseEpoch:
            return raise_epoch(writer, change.raise_epoch());
        case Body::kPutSetting:
            return put_setting(writer, change.put_setting());
        case Body::kPutMachine:
            return put_machine(writer, change.put_machine());
        case Body::kRemoveMachine:
            return remove_machine(writer, change.remove_machine());
        case Body::kPutNode:
            return put_node(writer, change.put_node());
        case Body::kRemoveNode:
            return remove_node(writer, change.remove_node());
        case Body::kAdmitNode:
            return admit_node(writer, change.admit_node());
        case Body::kDrainNode:
            return drain_node(writer, change.drain_node());
        case Body::kUndrainNode:
            return undrain_node(writer, change.undrain_node());
        case Body::kPutUser:
            return put_user(writer, change.put_user());
        case Body::kRemoveUser:
            return remove_user(writer, change.remove_user());
        case Body::kPutGroup:
            return put_group(writer, change.put_group());
        case Body::kRemoveGroup:
            return remove_group(writer, change.remove_group());
        case Body::kPutRule:
            return put_rule(writer, change.put_rule());
        case Body::kRemoveRule:
            return remove_rule(writer, change.remove_rule());
        case Body::kPutPrincipal:
            return put_principal(writer, change.put_principal());
        case Body::kRemovePrincipal:
            return remove_principal(writer, change.remove_principal());
        case Body::kPutSecret:
            return put_secret(writer, change.put_secret());
        case Body::kRemoveSecret:
            return remove_secret(writer, change.remove_secret());
        case Body::kRevokeTokens:
            return revoke_tokens(writer, change.revoke_tokens());
        case Body::kPutDirectoryGroup:
            return put_directory_group(writer, change.put_directory_group());
        case Body::kRemoveDirectoryGroup:
            return remove_directory_group(writer, change.remove_directory_group());
        case Body::kPutDirectoryUser:
            return put_directory_user(writer, change.put_directory_user());
        case Body::kPutApp:
            return put_app(writer, change.put_app());
        case Body::kRemoveApp:
            return remove_app(writer, change.remove_app());
        case Body::kPutTask:
            return put_task(writer, change.put_task());
        case Body::kRemoveTask:
            return remove_task(writer, change.remove_task());
        case Body::kPutDeployment:
            return put_deployment(writer, change.put_deployment());
        case Body::kRemoveDeployment:
            return remove_deployment(writer, change.remove_deployment());
        case Body::kUpdateTaskStatus:
            return update_task_status(writer, change.update_task_status());
        case Body::kPutAppBackoff:
            return put_app_backoff(writer, change.put_app_backoff());
        case Body::kPutAppGroup:
            return put_app_group(writer, change.put_app_group());
        case Body::kRemoveAppGroup:
            return remove_app_group(writer, change.remove_app_group());
        case Body::kPutNodeCapacity:
            return put_node_capacity(writer, change.put_node_capacity());
        case Body::kNoteExec:
            return note_exec(writer, change.note_exec());
        case Body::kPutBlob:
            return put_blob(writer, change.put_blob());
        case Body::kRemoveBlob:
            return remove_blob(writer, change.remove_blob());
        case Body::BODY_NOT_SET:
            break;
    }
    // The level check has refused changes that this build does not know.
    SMACK_ASSERT(change.body_case() != Body::BODY_NOT_SET);
    return {};
}

}  // namespace smackd::storage::state
