// NamespacePool: network namespaces made before a task wants one, when the launcher has nothing else to do.
//
// Making one takes the kernel a millisecond, more than any other step of a start. None is used twice.
#pragma once

#include <vector>

#include "services/agent/descriptor.h"

namespace smackd::agent {

inline constexpr size_t kReadyNamespaces = 8;

class NamespacePool {
 public:
    /// Empty when none is ready: whoever needs it makes it. Before the first is taken there are none: a node
    /// without tasks has nothing to prepare.
    Descriptor take();
    bool wants_one() const { return taken_ && ready_.size() < kReadyNamespaces; }
    /// What fails is tried again after the next was taken.
    void make_one();

 private:
    std::vector<Descriptor> ready_;
    bool taken_ = false;
};

}  // namespace smackd::agent
