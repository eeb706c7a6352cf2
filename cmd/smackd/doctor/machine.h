// What the machine has for a node and its tasks: kernel, control groups, network, memory, descriptors.
#pragma once

#include "cmd/smackd/doctor/finding.h"
#include "core/apps/task_network.h"

namespace smackd::cmd {

struct MachineChecks {
    bool tasks = true;    ///< tasks shall run here; else their needs are not looked at
    std::string agent{};  ///< the name that the node's bridge and groups carry
    core::Ipv4Prefix network = apps::kTaskNetwork;  ///< which its subnet is cut out of
    int daemon_pid = 0;  ///< of the running daemon, whose limits count; 0: this process's own
};

inline constexpr uint64_t kMemoryFail = 256ULL * 1024 * 1024;
inline constexpr uint64_t kMemoryWarn = 1024ULL * 1024 * 1024;
inline constexpr uint64_t kDescriptorsFail = 1024;
inline constexpr uint64_t kDescriptorsWarn = 8192;

/// Forks; call it while the process has one thread.
Findings examine_machine(const MachineChecks& checks);

/// Pure parts, for tests. `limit_bytes`: of the control group; 0: none.
Finding judge_memory(uint64_t machine_bytes, uint64_t limit_bytes);
Finding judge_descriptors(uint64_t limit);
/// "Max open files  1024  524288  files" of /proc/PID/limits: the hard limit; 0 when there is none.
uint64_t parse_open_files_limit(std::string_view limits);

}  // namespace smackd::cmd
