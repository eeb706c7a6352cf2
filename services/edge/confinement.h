// Takes rights away from the edge process for good, before it touches foreign bytes.
#pragma once

#include <cstdint>
#include <string>

#include "core/result.h"

namespace smackd::edge {

struct EdgeConfinement {
    std::string root;              ///< an empty folder that becomes "/"; empty: no change
    uint32_t uid = 0;              ///< 0: keep
    uint32_t gid = 0;              ///< 0: keep
    bool binds_low_ports = false;  ///< keeps CAP_NET_BIND_SERVICE
    int last_descriptor = 2;       ///< higher ones are closed
};

/// In this order: descriptors closed, chroot, uid and capabilities, no_new_privs, system calls. Afterwards
/// the process may use the descriptors it has, IP sockets and threads; it can open no file, start no program,
/// make no other kind of socket, map nothing executable. Before any thread is started. kIo names the step.
core::Result<void> confine_edge(const EdgeConfinement& rules);

}  // namespace smackd::edge
