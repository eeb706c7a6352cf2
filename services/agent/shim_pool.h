// ShimPool: shims that were started before there is a task for them.
//
// A third of a start is the shim's own: execve of a large binary, its relocation, a network namespace. Those
// that are ready have that behind them and wait for the descriptors of a task. They end with the launcher.
#pragma once

#include <sys/types.h>

#include <vector>

#include "core/clock.h"
#include "core/result.h"
#include "services/agent/descriptor.h"

namespace smackd::agent {

inline constexpr size_t kReadyShims = 4;  ///< about a MiB each
/// After this without a task they are let go: a node at rest keeps none.
inline constexpr core::Duration kReadyFor = core::seconds(60);

/// Of one task; see shim.h.
struct ShimDescriptors {
    int lock = -1;
    int directory = -1;
    int socket = -1;
};

class ShimPool {
 public:
    ShimPool() = default;
    /// `log`: their standard output and error.
    explicit ShimPool(Descriptor log) : log_(std::move(log)) {}

    /// Gives the task to one that is ready, or to a new one. `own_network`: the task has a network namespace
    /// of its own. The shim's pid; it is the caller's child.
    core::Result<int> start(const ShimDescriptors& task, bool own_network);

    /// True while there should be more of them: from the first task on.
    bool wants_one() const { return wanted_ && ready_.size() < kReadyShims; }
    bool has_any() const { return !ready_.empty(); }
    /// For tasks like the last one. What fails is tried again after the next task.
    void prepare_one();
    void let_go();

 private:
    struct Ready {
        pid_t pid = 0;
        Descriptor orders{};
    };
    core::Result<Ready> spawn(bool own_network) const;

    Descriptor log_;
    std::vector<Ready> ready_;
    bool wanted_ = false;
    bool own_network_ = true;
};

}  // namespace smackd::agent
