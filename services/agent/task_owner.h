// Who owns a task's sandbox: its user, looked up before its process exists.
#pragma once

#include "core/result.h"
#include "core/wire/task.pb.h"
#include "services/agent/users.h"

namespace smackd::agent {

/// By the files of the topmost layer that has them, or by those a task without an image gets.
core::Result<TaskUser> task_owner(const wire::TaskSpec& spec);

/// /etc/passwd and /etc/group of a task without an image; with the host's entry of its user, when it names
/// one.
std::string host_root_passwd(const wire::TaskSpec& spec);
std::string host_root_group(const wire::TaskSpec& spec);

}  // namespace smackd::agent
