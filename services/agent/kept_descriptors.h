// Descriptors that stay open when a shim becomes another build of smackd. All others close at its execve.
#pragma once

#include <fcntl.h>

#include <cstdint>
#include <vector>

#include "services/agent/descriptor.h"

namespace smackd::agent {

class KeptDescriptors {
 public:
    /// The number it is handed over as; 0: there is none.
    uint32_t keep(int fd) {
        if (fd < 0) return 0;
        numbers_.push_back(fd);
        return static_cast<uint32_t>(fd);
    }
    uint32_t keep(const Descriptor& fd) { return keep(fd.get()); }
    /// Right before execve; false again when that has failed.
    void stay_open(bool open) const {
        for (const int fd : numbers_) ::fcntl(fd, F_SETFD, open ? 0 : FD_CLOEXEC);
    }

 private:
    std::vector<int> numbers_;
};

/// One that was kept, in the process that goes on with it; closes at execve again.
inline Descriptor handed_over(uint32_t number) {
    if (number == 0) return {};
    ::fcntl(static_cast<int>(number), F_SETFD, FD_CLOEXEC);
    return Descriptor(static_cast<int>(number));
}

}  // namespace smackd::agent
