// A running shim becomes another build of smackd: the same process, so that its task keeps its parent, its
// pipes and its limits.
//
// The other build is first asked, in a child, whether it would go on with the state as it is: one that is
// broken, or that does not know this state's version, leaves the shim as it was. Then the state goes into a
// sealed memory file and execve does the rest; a signal that comes meanwhile stays pending, an exit stays to
// be waited for, what the task writes stays in its pipe.
#pragma once

#include <sys/types.h>

#include <string>

#include "core/callback.h"
#include "core/clock.h"
#include "core/result.h"
#include "core/wire/shim_state.pb.h"
#include "services/agent/descriptor.h"
#include "services/agent/kept_descriptors.h"
#include "services/agent/poll_loop.h"

namespace smackd::agent {

/// Raised with every field of wire.ShimState that a build must not overlook. A build takes over from any
/// version up to its own.
inline constexpr uint32_t kShimStateVersion = 1;
inline constexpr core::Duration kTakeoverCheckMax = core::seconds(10);
/// The word of `smackd`, and where the child that is asked has the state.
inline constexpr const char* kShimCheck = "shim-check";
inline constexpr int kShimCheckState = 3;
/// In the environment of a shim that goes on: the descriptor of its state.
inline constexpr const char* kShimStateVariable = "SMACKD_SHIM_STATE";

/// The state in a sealed memory file, to be read from its start.
core::Result<Descriptor> seal_state(const wire::ShimState& state);
/// kUnsupported for a version above ours, kCorrupt for what is no state of a running task.
core::Result<wire::ShimState> read_state(int fd);

/// One question to one build. On the loop of the shim, which goes on meanwhile.
class TakeoverCheck {
 public:
    /// `done` is called once, from the loop.
    TakeoverCheck(PollLoop& loop, core::Callback<void(core::Result<void>)> done)
        : loop_(loop), done_(std::move(done)) {}
    /// Ends the child.
    ~TakeoverCheck();
    TakeoverCheck(const TakeoverCheck&) = delete;
    TakeoverCheck& operator=(const TakeoverCheck&) = delete;

    /// `binary`: O_PATH will do. An error is what the kernel says to it; `done` is not called then.
    core::Result<void> start(int binary, const wire::ShimState& state);

 private:
    void ended();
    void finish(core::Result<void> result);

    PollLoop& loop_;
    core::Callback<void(core::Result<void>)> done_;
    std::string expected_;
    pid_t pid_ = 0;
    Descriptor pidfd_;
    Descriptor answer_;
    uint64_t limit_ = 0;
};

/// Goes on as `binary`; returns only with the reason why not, and then nothing has changed.
core::Error become_other_build(int binary, const wire::ShimState& state, KeptDescriptors kept);

/// The child's process: says whether it would take over; its exit code.
int shim_check_main();

}  // namespace smackd::agent
