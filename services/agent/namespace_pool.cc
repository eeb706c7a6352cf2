#include "services/agent/namespace_pool.h"

#include <utility>

#include "services/agent/task_network.h"

namespace smackd::agent {

Descriptor NamespacePool::take() {
    taken_ = true;
    if (ready_.empty()) return {};
    Descriptor one = std::move(ready_.back());
    ready_.pop_back();
    return one;
}

void NamespacePool::make_one() {
    auto made = make_network_namespace();
    if (made) {
        ready_.push_back(std::move(*made));
    } else {
        taken_ = false;
    }
}

}  // namespace smackd::agent
