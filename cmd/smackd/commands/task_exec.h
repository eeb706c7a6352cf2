// smackd task exec: a program in a task, with this terminal as its own.
#pragma once

#include "cmd/smackd/client/api_client.h"
#include "cmd/smackd/command.h"
#include "core/wire/task.pb.h"

namespace smackd::cmd {

/// Which of this process's streams are terminals.
struct TerminalFacts {
    bool input = false;
    bool output = false;
    std::string name{};  ///< $TERM
};

/// What the arguments ask for.
struct ExecPlan {
    wire::ShimExec exec;  ///< without the terminal's size
    bool input = false;   ///< ours is passed on
};
/// A terminal is the program's where input and output are ones; kInvalid names the option and the rule.
core::Result<ExecPlan> exec_plan(const Arguments& arguments, const TerminalFacts& terminal);

core::Result<void> task_exec(Context& context);

/// The task that is meant: an id, or for "/group/app" the app's youngest task, else the one that failed last.
core::Result<std::string> meant_task(ApiClient& client, const std::string& given);

}  // namespace smackd::cmd
