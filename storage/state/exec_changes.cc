// Programs that users run in tasks: nothing of the state changes, but who ran what is in the audit for good.
#include "core/marathon/path_id.h"
#include "core/names.h"
#include "storage/state/app_rows.h"
#include "storage/state/changes.h"

namespace smackd::storage::state {

using core::Errc;

Outcome<void> note_exec(Writer& writer, const wire::NoteExec& change) {
    if (writer.command().actor().kind() != wire::Actor::USER)
        return refuse(Errc::kDenied, "programs in tasks are run by users");
    auto app = marathon::app_of_task(change.task());
    if (!app) return refused(core::pass(std::move(app)));
    TRY(may_on_app(writer, core::Action::kExec, *app));
    for (const auto& [name, text] : {std::pair("program", &change.program()),
                                     {"machine", &change.machine()},
                                     {"source", &change.source()}})
        TRY(refused(core::check_text(name, *text, kExecTextBytesMax)));
    // One that is told late may be of a task that is gone.
    TRY_ASSIGN(const auto task, task_row(writer.state(), change.task()));
    if (!task && !change.late()) return refuse(Errc::kNotFound, "no task '{}'", change.task());
    TRY(writer.emit({.kind = "exec", .key = change.task()}));
    return {};
}

}  // namespace smackd::storage::state
