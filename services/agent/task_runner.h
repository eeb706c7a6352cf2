// TaskRunner: the tasks of one node, as the agent sees them. Loop thread only.
//
// The tasks do not need it: each has a shim (shim.h) that outlives the daemon, keeps its logs, and writes
// what became of it into the task's directory before it tells anybody. A runner that starts finds them there,
// removes orphans, and goes on.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/apps/task_network.h"
#include "core/bytes.h"
#include "core/callback.h"
#include "core/ipv4.h"
#include "core/logger.h"
#include "core/result.h"
#include "core/units.h"
#include "core/wire/task.pb.h"
#include "net/loop.h"
#include "net/task.h"

namespace smackd::agent {

inline constexpr size_t kTasksPerNodeMax = 4096;  ///< tasks with a directory that is not yet removed
inline constexpr size_t kLogReadBytesMax = 1 << 20;
inline constexpr size_t kExecSessionsMax = 64;  ///< of one runner at a time

/// The tenant of a task: its name, empty for common, and its number in the cluster.
struct TaskTenancy {
    std::string tenant{};
    uint32_t number = 0;
    bool operator==(const TaskTenancy&) const = default;
};

struct RunnerOptions {
    std::string directory;  ///< absolute, made when it is not there (0700): DIRECTORY/tasks, DIRECTORY/logs
    std::string binary;     ///< of smackd; empty: the one that runs
    /// IPv4 prefix of the bridge, its first address is the gateway (DNS listens there); "auto" derives a free
    /// /24 of `network` from the directory's hash; empty: no bridge networking.
    std::string subnet = "auto";
    core::Ipv4Prefix network = apps::kTaskNetwork;
    bool overlay = false;                    ///< tasks of other nodes are to be reached (set_network)
    uint16_t wireguard_port = 0;             ///< UDP, for encryption between nodes; 0: none
    std::vector<uint32_t> node_ports_tcp{};  ///< of the node, that tasks on the bridge may reach besides DNS
    std::vector<std::string>
        blocked{};  ///< addresses or prefixes they never reach; the metadata address is always one
    core::Logger logger{};
};

enum class LogStream : uint8_t { kStdout, kStderr };

/// A piece of a log. Offsets count from the task's start and stay true when old files are rotated away.
struct LogPiece {
    uint64_t offset = 0;  ///< of the first byte of `bytes`: later than asked when that part is gone
    std::string bytes;
    uint64_t end = 0;  ///< how far the log reaches now
};

/// A program run inside a task beside its command. Ends when destroyed (SIGKILL).
class ExecSession {
 public:
    virtual ~ExecSession() = default;
    struct Output {
        std::string bytes;
        bool error_stream = false;                    ///< never with a terminal
        std::optional<wire::ShimExecExit> exit = {};  ///< the last one
    };
    /// Waits for output or the end. One reader.
    virtual net::Task<core::Result<Output>> read() = 0;
    /// One writer. Waits while the program does not read.
    virtual net::Task<core::Result<void>> write(std::string bytes) = 0;
    virtual net::Task<core::Result<void>> end_input() = 0;
    virtual net::Task<core::Result<void>> resize(uint32_t rows, uint32_t columns) = 0;
    virtual net::Task<void> close() = 0;
};

class TaskRunner {
 public:
    /// Starts the launcher, removes orphans and finds the tasks that are there. Waits for the launcher's
    /// set-up.
    static net::Task<core::Result<std::unique_ptr<TaskRunner>>> start(net::Loop& loop, RunnerOptions options);
    /// close() has returned. Tasks go on.
    virtual ~TaskRunner() = default;

    /// Every event that is not acknowledged, again after each restart, in the order of one task's numbers.
    /// Once, right after start(); the callback is called from the loop and never inside another call of this
    /// class.
    virtual void subscribe(core::Callback<void(const wire::TaskEvent&)> on_event) = 0;
    /// Forgets the event and those before it, durably. After the last event of a task its directory is
    /// removed but for its logs. An unknown task is fine.
    virtual net::Task<core::Result<void>> acknowledge(std::string task_id, uint64_t sequence) = 0;

    /// Checks the specification (kInvalid names field and rule; kConflict: the id was used) and hands it to
    /// the launcher. Returns when its shim runs; what follows are events, `failed` among them.
    virtual net::Task<core::Result<void>> launch(wire::TaskSpec spec) = 0;
    /// SIGTERM, after `grace` SIGKILL to all of it. nullopt: the task's own grace. kNotFound when it does not
    /// run.
    virtual net::Task<core::Result<void>> kill(std::string task_id, std::optional<core::Duration> grace) = 0;
    virtual net::Task<core::Result<void>> signal(std::string task_id, int number) = 0;
    /// Tells the shim that the task may go on until then, a time of net::boot_time_ms(). A task without a
    /// lease has one from here on.
    virtual net::Task<core::Result<void>> renew_lease(std::string task_id, int64_t until_ms) = 0;

    /// All tasks that are not removed yet, ended ones with unacknowledged events too.
    virtual std::vector<wire::LocalTask> list() const = 0;
    virtual std::optional<wire::LocalTask> find(const std::string& task_id) const = 0;
    /// Of a running task, read from its cgroup now.
    virtual core::Result<wire::TaskUsage> usage(const std::string& task_id) = 0;

    /// Up to `length` (at most kLogReadBytesMax) bytes from `offset`; also of tasks that have been removed.
    virtual core::Result<LogPiece> read_log(const std::string& task_id, LogStream stream, uint64_t offset,
                                            size_t length) = 0;
    /// Removes logs of tasks that ended more than `age` ago, and beyond `bytes` of all such tasks the oldest.
    virtual net::Task<core::Result<void>> expire_logs(core::Duration age, uint64_t bytes) = 0;

    virtual net::Task<core::Result<std::unique_ptr<ExecSession>>> exec(std::string task_id,
                                                                       wire::ShimExec what) = 0;

    /// The bridge's gateway address ("10.88.3.1"), where DNS is to listen for tasks; empty without a bridge.
    virtual const std::string& gateway() const = 0;
    /// Replaces what tasks on the bridge never reach, and which ports of the node they do, also from other
    /// nodes.
    virtual net::Task<core::Result<void>> set_blocked(std::vector<std::string> prefixes,
                                                      std::vector<uint32_t> node_ports_tcp,
                                                      std::vector<uint32_t> node_ports_udp) = 0;

    /// Whose tasks are which (by task id), of all that run; others are common. Connections that are there go
    /// on.
    virtual net::Task<core::Result<void>> set_tenants(std::map<std::string, TaskTenancy> tenants) = 0;
    /// "10.88.3.0/24" of the bridge; empty without one.
    virtual std::string subnet() const = 0;
    /// Another one, that is free on this machine and none of `taken`. kBusy while tasks have addresses of the
    /// present one.
    virtual net::Task<core::Result<void>> choose_subnet(std::vector<core::Ipv4Prefix> taken) = 0;
    /// Where tasks of other nodes are and which tenants reach which; it is kept for the next start. Why some
    /// are not reached, one line each.
    virtual net::Task<core::Result<std::vector<std::string>>> set_network(wire::LauncherNetwork network) = 0;
    /// Public, of this node; empty: the kernel has no WireGuard, or it is not wanted.
    virtual const core::Bytes& wireguard_key() const = 0;

    /// Lets go of everything; tasks go on. Idempotent.
    virtual net::Task<void> close() = 0;
};

/// What is wrong with a specification, by itself (no file is looked at); kInvalid names field and rule.
core::Result<void> check_task_spec(const wire::TaskSpec& spec);

}  // namespace smackd::agent
