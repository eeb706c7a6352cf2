// The init of a task: pid 1 of its namespace, which reaps, hands signals on, and tells the shim how the
// command ended.
//
// Without it the command would be pid 1: signals it has no handler for would not reach it, and zombies would
// stay.
#pragma once

namespace smackd::agent {

/// Never returns. Ends, and with it the namespace, when `command_pid` does; writes its wait status (one int)
/// to `status`. `stop_all`: the signals that ask to end go to all processes of the task, and it waits for
/// them too; a shell would not hand them on to what it runs. The shim's SIGKILL bounds the wait.
[[noreturn]] void run_task_init(int command_pid, int status, bool stop_all);

}  // namespace smackd::agent
