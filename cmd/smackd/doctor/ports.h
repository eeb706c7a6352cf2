// The addresses a node listens on: free before it starts, its own while it runs.
#pragma once

#include <string>
#include <vector>

#include "cmd/smackd/config.h"
#include "cmd/smackd/data_directory.h"
#include "cmd/smackd/doctor/finding.h"
#include "net/listen_socket.h"

namespace smackd::cmd {

struct WantedPort {
    std::string what;  ///< "API"
    std::string key;   ///< of the configuration
    net::ListenKind kind = net::ListenKind::kTcp;
    std::string address;  ///< HOST:PORT
    bool edge = false;    ///< the edge listens there, also when the daemon is stopped
};

/// All of them. `kdc`: this node runs one. `own_address` is the IP that others reach it at, or empty.
std::vector<WantedPort> wanted_ports(const Config& config, bool server, bool kdc,
                                     const std::string& own_address);

struct PortChecks {
    DataDirectory directory;
    int daemon_pid = 0;  ///< 0: it does not run
    std::vector<WantedPort> wanted;
};
Findings examine_ports(const PortChecks& checks);

}  // namespace smackd::cmd
