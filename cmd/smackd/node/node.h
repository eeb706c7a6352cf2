// One running server: its threads, what they share, and the order in which they begin and end.
//
//     consensus   replica, state machine, connections with the other servers
//     api         HTTP doors, sessions, feed watchers
//     workers     handshakes, tickets, passwords, reads of the state
//     kdc         child process of the embedded realm, with a thread that watches it
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cmd/smackd/config.h"
#include "cmd/smackd/data_directory.h"
#include "core/logger.h"
#include "core/units.h"

namespace smackd::cmd {

struct NodeOptions {
    Config config;
    /// Plain HTTP on the API's port beside TLS, told apart by the first byte; tasks end with the node and are
    /// reached on this machine alone; ports that other demos of the machine do not take.
    bool demo = false;
    core::LogSink* log = nullptr;
};

/// How long a start may take until the node is ready: log replay and the first election included.
inline constexpr core::Duration kReadyLimit = core::seconds(120);

class Node {
 public:
    /// Locks the data directory, reads keys and state, listens. Errors name what to do. Sets KRB5_CONFIG, so
    /// no other thread may run yet.
    static core::Result<std::unique_ptr<Node>> start(NodeOptions options);
    /// stop() when that was not called.
    virtual ~Node() = default;

    /// Waits until the cluster is set up and known here, the KDC answers and the API serves; kCancelled when
    /// a stop signal came meanwhile.
    virtual core::Result<void> wait_ready() = 0;
    /// Closes the doors, lets requests end, leaves the network, writes what is pending. Seconds at most.
    /// Idempotent.
    virtual void stop() = 0;
    virtual const NodeIdentity& identity() const = 0;
    /// Set once the cluster has said that this node was removed; it has sent this process a stop signal then.
    virtual std::optional<core::Error> removed() const = 0;
};

}  // namespace smackd::cmd
