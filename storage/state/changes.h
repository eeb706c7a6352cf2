// What each change does to the tables. All check first and write then, so that a refusal leaves nothing
// behind.
#pragma once

#include "storage/state/writer.h"

namespace smackd::storage::state {

/// Makes one change in the writer's transaction. `feature_level_max` is the build's.
Outcome<void> apply_change(Writer& writer, const wire::Change& change, uint32_t feature_level_max);

// By noun; apply_change calls them.
Outcome<void> init_cluster(Writer& writer, const wire::InitCluster& change);
Outcome<void> raise_feature_level(Writer& writer, const wire::RaiseFeatureLevel& change,
                                  uint32_t feature_level_max);
Outcome<void> raise_epoch(Writer& writer, const wire::RaiseEpoch& change);
Outcome<void> put_setting(Writer& writer, const wire::PutSetting& change);

Outcome<void> put_machine(Writer& writer, const wire::PutMachine& change);
Outcome<void> remove_machine(Writer& writer, const wire::RemoveMachine& change);
Outcome<void> put_node(Writer& writer, const wire::PutNode& change);
Outcome<void> remove_node(Writer& writer, const wire::RemoveNode& change);
Outcome<void> admit_node(Writer& writer, const wire::AdmitNode& change);
Outcome<void> drain_node(Writer& writer, const wire::DrainNode& change);
Outcome<void> undrain_node(Writer& writer, const wire::UndrainNode& change);
/// What is said of a node beside its own row goes with it.
Outcome<void> forget_node(Writer& writer, uint64_t node_id);

Outcome<void> put_user(Writer& writer, const wire::PutUser& change);
Outcome<void> remove_user(Writer& writer, const wire::RemoveUser& change);
Outcome<void> put_group(Writer& writer, const wire::PutGroup& change);
Outcome<void> remove_group(Writer& writer, const wire::RemoveGroup& change);
Outcome<void> put_rule(Writer& writer, const wire::PutRule& change);
Outcome<void> remove_rule(Writer& writer, const wire::RemoveRule& change);

Outcome<void> put_directory_group(Writer& writer, const wire::PutDirectoryGroup& change);
Outcome<void> remove_directory_group(Writer& writer, const wire::RemoveDirectoryGroup& change);
Outcome<void> put_directory_user(Writer& writer, const wire::PutDirectoryUser& change);
/// What the directory groups of a group or user that goes have left.
Outcome<void> forget_group_in_directory(Writer& writer, const std::string& group);
Outcome<void> forget_user_in_directory(Writer& writer, const std::string& user);

Outcome<void> put_principal(Writer& writer, const wire::PutPrincipal& change);
Outcome<void> remove_principal(Writer& writer, const wire::RemovePrincipal& change);
Outcome<void> put_secret(Writer& writer, const wire::PutSecret& change);
Outcome<void> remove_secret(Writer& writer, const wire::RemoveSecret& change);
Outcome<void> revoke_tokens(Writer& writer, const wire::RevokeTokens& change);

Outcome<void> put_app(Writer& writer, const wire::PutApp& change);
Outcome<void> remove_app(Writer& writer, const wire::RemoveApp& change);
Outcome<void> put_task(Writer& writer, const wire::PutTask& change);
Outcome<void> remove_task(Writer& writer, const wire::RemoveTask& change);
Outcome<void> put_deployment(Writer& writer, const wire::PutDeployment& change);
Outcome<void> remove_deployment(Writer& writer, const wire::RemoveDeployment& change);
Outcome<void> update_task_status(Writer& writer, const wire::UpdateTaskStatus& change);
Outcome<void> put_app_backoff(Writer& writer, const wire::PutAppBackoff& change);
Outcome<void> put_app_group(Writer& writer, const wire::PutAppGroup& change);
Outcome<void> remove_app_group(Writer& writer, const wire::RemoveAppGroup& change);
Outcome<void> put_node_capacity(Writer& writer, const wire::PutNodeCapacity& change);
Outcome<void> note_exec(Writer& writer, const wire::NoteExec& change);

Outcome<void> put_blob(Writer& writer, const wire::PutBlob& change);
Outcome<void> remove_blob(Writer& writer, const wire::RemoveBlob& change);

}  // namespace smackd::storage::state
