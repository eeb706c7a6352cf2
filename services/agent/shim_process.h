// The process of a shim. Private to services/agent; shim.h says what it is for.
//
// shim.cc starts the task, shim_requests.cc answers who connects, shim_end.cc ends it, shim_takeover.cc hands
// it over to another build.
#pragma once

#include <list>
#include <memory>
#include <optional>

#include "core/wire/shim_state.pb.h"
#include "core/wire/task.pb.h"
#include "services/agent/cgroups.h"
#include "services/agent/isolation.h"
#include "services/agent/log_pipe.h"
#include "services/agent/poll_loop.h"
#include "services/agent/shim_connection.h"
#include "services/agent/shim_exec.h"
#include "services/agent/shim_handover.h"
#include "services/agent/task_network.h"

namespace smackd::agent {

inline constexpr core::Duration kDefaultGrace = core::milliseconds(3000);
inline constexpr core::Duration kDiskLook = core::seconds(1);
inline constexpr int kKillLooks = 100;  ///< for the kernel to count a kill, after it has told of a shortage

class Shim {
 public:
    Shim(wire::ShimPlan plan, Descriptor network_namespace)
        : plan_(std::move(plan)), prepared_network_(std::move(network_namespace)) {}

    /// Starts the task and stays until it has ended; the process's exit code.
    int run();
    /// Goes on where another build of this process has stopped.
    int go_on(wire::ShimState state);

 private:
    struct Client {
        uint64_t number = 0;
        std::unique_ptr<ShimConnection> connection;
        std::unique_ptr<ShimExecSession> exec;
    };
    using Clients = std::list<Client>;

    const wire::TaskSpec& spec() const { return plan_.spec(); }
    const std::string& group() const { return plan_.spec().task_id(); }

    Stepped<void> start();
    Stepped<void> make_group();
    Stepped<void> prepare_files();
    Stepped<void> open_logs();
    IsolationRequest isolation(const core::Bytes& seccomp);
    void watch_task();
    void watch_lease();
    void watch_signals();

    void accept();
    template <class From>
    Clients::iterator add_client(From from);
    void greet(Client& client);
    void answer(Clients::iterator client, const wire::ShimRequest& request);
    void start_exec(Client& client, const wire::ShimExec& exec);

    void signal(int number) const;
    void begin_stop(wire::TaskExited::Reason reason, core::Duration grace);
    void kill_at(core::Instant at);
    void kill_all();
    void renew_lease(int64_t until_ms);
    void look_at_disk();
    void out_of_memory();
    void look_for_kill(int looks = kKillLooks);
    wire::TaskUsage usage() const;

    void ended();
    void tell(wire::TaskEvent event, bool durable);
    void release_ports();
    void clean_up();

    void replace(const Client& client, uint32_t descriptor);
    void replaced_by(Descriptor binary, uint64_t client, core::Result<void> checked);
    void refuse(uint64_t client, const core::Error& why);
    wire::ShimState state(KeptDescriptors& kept) const;
    void restore(wire::ShimState state);
    void restore_clients(const wire::ShimState& state);

    wire::ShimPlan plan_;
    PollLoop loop_;
    core::Instant began_;
    std::optional<CgroupTree> cgroups_;
    core::Bytes seccomp_;
    Descriptor logs_;
    std::unique_ptr<LogPipe> out_;
    std::unique_ptr<LogPipe> error_;
    Descriptor log_ends_[2];  // the task's, until it is started
    Descriptor prepared_network_;
    TaskNetwork network_;
    IsolatedTask task_;
    CgroupTree::OutOfMemoryNotice memory_notice_;
    Descriptor lease_;
    Descriptor signals_;
    Clients clients_;
    uint64_t last_client_ = 0;
    std::optional<wire::TaskExited::Reason> stopping_;  // the first reason counts
    std::optional<core::Instant> kill_at_;
    uint64_t kill_timer_ = 0;
    std::optional<core::Instant> runtime_until_;
    uint64_t disk_bytes_ = 0;
    uint64_t sequence_ = 0;
    std::unique_ptr<TakeoverCheck> check_;
};

}  // namespace smackd::agent
