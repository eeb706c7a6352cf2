// The edge process: ingress and DNS, in a process of their own with few rights.
#pragma once

#include <cstdint>
#include <string>

#include "core/result.h"

namespace smackd::cmd {

struct EdgeOptions {
    std::string table_file;      ///< alone, by a file; read again at SIGHUP
    int socket = -1;             ///< from the daemon: a connected or a listening Unix socket
    bool make_listeners = true;  ///< otherwise the daemon is asked for them
    std::string root;            ///< see services/edge/confinement.h
    uint32_t uid = 0;
    uint32_t gid = 0;
    bool verbose = false;
};

/// Runs until it has been drained (order of the daemon, or SIGTERM) or, alone, until a signal.
core::Result<void> run_edge(const EdgeOptions& options);

}  // namespace smackd::cmd
