// The audit's row of a program that is run in a task: who, which, where, from where; never its arguments.
//
// It is written before the program begins: what is not in the audit was not run. The one exception is a
// cluster that has no leader, where an administrator must be able to look into tasks: they may, this server's
// own chained log has it at once, and the audit as soon as there is a leader, if the program still runs then.
#pragma once

#include <string>

#include "core/wire/command.pb.h"
#include "services/api/context.h"

namespace smackd::services {

/// How long the cluster may take to record it; an election is over by then.
inline constexpr core::Duration kExecNoteMax = core::seconds(5);
inline constexpr core::Duration kExecNoteAgain = core::milliseconds(500);
inline constexpr size_t kShownProgramBytesMax = 128;

class ExecNote {
 public:
    ExecNote(ApiContext& api, std::string principal, wire::NoteExec what);

    /// Proposes it until it is decided, for kExecNoteMax at most. A cluster of a feature level below
    /// kLevelOfExecNotes has no such rows: the log alone has it then. kUnavailable, kUnknownOutcome,
    /// kTimeout or kDiskFull when the cluster cannot record it now; else what apply says.
    net::Task<core::Result<void>> record();
    /// Tries again until it is recorded, refused or cancelled.
    net::Task<void> record_late();
    bool recorded() const { return recorded_; }

 private:
    net::Task<core::Result<void>> propose();
    net::Task<core::Result<void>> propose_until_decided();

    ApiContext& api_;
    wire::Command command_;
    bool recorded_ = false;
};

/// Whether the cluster cannot record anything now, rather than not this.
bool is_cluster_away(const core::Error& why);
/// A program's name as it can be shown: cut, and what is no plain text replaced.
std::string shown_program(std::string_view program);

}  // namespace smackd::services
