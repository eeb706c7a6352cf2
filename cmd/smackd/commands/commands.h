// The groups of commands, one file each.
#pragma once

#include <vector>

#include "cmd/smackd/command.h"

namespace smackd::cmd {

std::vector<Command> daemon_commands();  ///< demo, start
std::vector<Command> recover_commands();
std::vector<Command> session_commands();  ///< login, logout, whoami
std::vector<Command> status_commands();   ///< status, doctor
std::vector<Command> realm_commands();
std::vector<Command> join_commands();  ///< join, renew
std::vector<Command> machine_commands();
std::vector<Command> node_commands();
std::vector<Command> top_commands();  ///< top
std::vector<Command> image_commands();
std::vector<Command> user_commands();
std::vector<Command> group_commands();
std::vector<Command> policy_commands();
std::vector<Command> app_commands();     ///< app ..., deployment ...
std::vector<Command> task_commands();    ///< task ..., dns ...
std::vector<Command> backup_commands();  ///< backup, backup verify, backup list, restore
std::vector<Command> edge_commands();    ///< edge
std::vector<Command> state_commands();   ///< sql, events, audit, refusals

}  // namespace smackd::cmd
