// What the configuration says of tasks and of the edge: whether they run here, what they may have of the
// machine, where DNS and ingress listen. Parsing is pure; what is absent is found out on the machine.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/apps/node.h"
#include "core/apps/task_network.h"
#include "core/ipv4.h"
#include "core/result.h"

namespace smackd::cmd {

inline constexpr uint64_t kCpusMilliMax = 65'536'000;
inline constexpr size_t kListenersMax = 16;          ///< of one kind
inline constexpr size_t kEdgeCertificatesMax = 256;  ///< files

/// Whether packets between tasks of different nodes are encrypted (WireGuard).
enum class TaskEncryption : uint8_t {
    kAuto,  ///< where both nodes can
    kOn,    ///< else they do not pass
    kOff,
};
inline constexpr uint16_t kVxlanPort = 4789;  // RFC 7348
inline constexpr uint16_t kWireguardPort = 51820;

struct TasksConfig {
    bool run = true;
    std::optional<uint64_t> cpus_milli;    ///< absent: all of the machine's
    std::optional<uint64_t> memory_bytes;  ///< absent: the machine's but for what the node keeps
    std::optional<uint64_t> disk_bytes;    ///< absent: most of the data directory's file system
    std::string address;                   ///< IP that tasks' ports are reached at; empty: found
    std::vector<apps::PortRange> ports = {apps::kHostPorts};
    std::string region;
    core::Ipv4Prefix network = apps::kTaskNetwork;  ///< which nodes' subnets are cut out of
    uint16_t vxlan_port = kVxlanPort;  ///< UDP; 0: tasks of other nodes are not reached by address
    TaskEncryption encryption = TaskEncryption::kAuto;
    uint16_t wireguard_port = kWireguardPort;  ///< UDP
};

/// Listeners that are absent are the usual ones (node/edge_settings.h); an empty list is none.
struct EdgeConfig {
    std::optional<bool> run;  ///< absent: where tasks run
    std::optional<std::vector<std::string>> dns;
    std::optional<std::vector<std::string>> http;
    std::optional<std::vector<std::string>> https;
    std::vector<std::string> certificates;  ///< files, each with a chain and its key
};

/// "2", "0.5": thousandths of a cpu, from 0.001 to 65536.
core::Result<uint64_t> parse_cpus(std::string_view text);
/// "8GiB", "500MB", "1048576": a whole number of bytes, KB, KiB and so on up to TiB.
core::Result<uint64_t> parse_size(std::string_view text);
/// "31000-32000", "8080".
core::Result<apps::PortRange> parse_port_range(std::string_view text);
/// "10.64.0.0/10": with room for a /24 for each of many nodes, from /8 to /20.
core::Result<core::Ipv4Prefix> parse_task_network(std::string_view text);
/// "auto", "on", "off".
core::Result<TaskEncryption> parse_encryption(std::string_view text);
std::string_view encryption_name(TaskEncryption encryption);

}  // namespace smackd::cmd
