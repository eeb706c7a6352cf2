// A machine as placement sees it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/ids.h"
#include "core/wire/app.pb.h"

namespace smackd::apps {

/// Both ends belong to it.
struct PortRange {
    uint16_t first = 0;
    uint16_t last = 0;
    bool operator==(const PortRange&) const = default;
};

/// Host ports tasks get on a node that says nothing else; outside the kernel's ephemeral range and the
/// service ports.
inline constexpr PortRange kHostPorts{31000, 32000};

enum class Liveness : uint8_t {
    kAlive,
    kSuspect,      ///< gets no new tasks, keeps what it has
    kUnreachable,  ///< its tasks become TASK_UNREACHABLE
    kGone,         ///< removed by an operator: its tasks become TASK_GONE_BY_OPERATOR
};

struct Node {
    core::NodeId id;
    std::string machine;  ///< host name: "hostname" of constraints, "host" of a task
    std::string address;  ///< IP address that tasks' ports are published on
    std::string zone;
    std::string region;
    /// Mesos resource roles that its resources have: "*" for all apps, "slave_public" for those that ask for
    /// it.
    std::vector<std::string> roles = {"*"};
    std::map<std::string, std::string> attributes;
    wire::Resources total;                        ///< for tasks: after what the node keeps for itself
    std::vector<PortRange> ports = {kHostPorts};  ///< for ports that may be any
    std::vector<PortRange> fixed_ports = {{1024, 65535}};  ///< for ports that apps ask for by number
    Liveness liveness = Liveness::kAlive;
    int64_t liveness_since_ms = 0;
    bool draining = false;         ///< no new tasks; its tasks are replaced elsewhere, then killed
    bool drain_is_over = false;    ///< past the drain's deadline: what is there still is killed
    int64_t drain_changes_ms = 0;  ///< when one of the two will change by itself; 0: not
    bool host_network = true;      ///< policy: host mode is allowed here
};

/// `more` on top of `sum`.
void add(wire::Resources& sum, const wire::Resources& more);

/// What `drain` makes of its node at `now_ms`.
void set_drain(Node& node, const wire::DrainNode& drain, int64_t now_ms);

}  // namespace smackd::apps
