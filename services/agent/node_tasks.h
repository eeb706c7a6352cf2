// NodeTasks: the TaskRunner of a node. Private to services/agent; its interface is task_runner.h.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "net/scope.h"
#include "net/sync.h"
#include "net/wait.h"
#include "services/agent/cgroups.h"
#include "services/agent/descriptor.h"
#include "services/agent/launcher_client.h"
#include "services/agent/message_stream.h"
#include "services/agent/task_runner.h"

namespace smackd::agent {

class NodeTasks final : public TaskRunner {
 public:
    NodeTasks(net::Loop& loop, RunnerOptions options);
    net::Task<core::Result<void>> start();

    void subscribe(core::Callback<void(const wire::TaskEvent&)> on_event) override;
    net::Task<core::Result<void>> acknowledge(std::string task_id, uint64_t sequence) override;
    net::Task<core::Result<void>> launch(wire::TaskSpec spec) override;
    net::Task<core::Result<void>> kill(std::string task_id, std::optional<core::Duration> grace) override;
    net::Task<core::Result<void>> signal(std::string task_id, int number) override;
    net::Task<core::Result<void>> renew_lease(std::string task_id, int64_t until_ms) override;
    std::vector<wire::LocalTask> list() const override;
    std::optional<wire::LocalTask> find(const std::string& task_id) const override;
    core::Result<wire::TaskUsage> usage(const std::string& task_id) override;
    core::Result<LogPiece> read_log(const std::string& task_id, LogStream stream, uint64_t offset,
                                    size_t length) override;
    net::Task<core::Result<void>> expire_logs(core::Duration age, uint64_t bytes) override;
    net::Task<core::Result<std::unique_ptr<ExecSession>>> exec(std::string task_id,
                                                               wire::ShimExec what) override;
    const std::string& gateway() const override { return gateway_; }
    net::Task<core::Result<void>> set_blocked(std::vector<std::string> prefixes,
                                              std::vector<uint32_t> node_ports_tcp,
                                              std::vector<uint32_t> node_ports_udp) override;
    net::Task<core::Result<void>> set_tenants(std::map<std::string, TaskTenancy> tenants) override;
    std::string subnet() const override;
    net::Task<core::Result<void>> choose_subnet(std::vector<core::Ipv4Prefix> taken) override;
    net::Task<core::Result<std::vector<std::string>>> set_network(wire::LauncherNetwork network) override;
    const core::Bytes& wireguard_key() const override { return wireguard_key_; }
    net::Task<void> close() override;

 private:
    struct Task {
        explicit Task(net::Loop& loop) : linked(loop) {}
        wire::ShimPlan plan{};
        wire::LocalTask::Phase phase = wire::LocalTask::LAUNCHING;
        Descriptor directory{};
        std::vector<wire::TaskEvent> events{};  // not acknowledged
        uint64_t told = 0;                      // up to this one the subscriber knows them
        uint64_t last_sequence = 0;
        uint64_t acknowledged = 0;
        uint64_t pid = 0;
        uint64_t shim_pid = 0;
        bool kill_requested = false;
        bool removing = false;
        std::unique_ptr<MessageStream> link{};
        net::Event linked;                     // the shim is connected, or the task has ended
        net::Wait<void>* replacing = nullptr;  // told when its shim has become our build, or why it does not
    };
    using Tasks = std::map<std::string, std::unique_ptr<Task>>;

    core::Result<std::string> first_subnet() const;
    void take_setup(const wire::LauncherAnswer& answer);
    void find_tasks();
    Task* running(const std::string& task_id);
    net::Task<core::Result<Task*>> heard(const std::string& task_id);
    core::Result<wire::ShimPlan> plan_for(wire::TaskSpec spec);
    uint32_t free_user_base() const;
    core::Result<std::string> free_address();
    bool address_used(const std::string& address) const;

    net::Task<void> follow(std::string task_id);
    net::Task<core::Result<std::unique_ptr<MessageStream>>> connect(const Task& task);
    net::Task<void> listen(Task& task);
    net::Task<core::Result<void>> request(std::string task_id, wire::ShimRequest request);
    void take_events(Task& task);
    void settle(Task& task);
    void deliver();
    net::Task<void> remove(std::string task_id);
    net::Task<void> replace_shims();
    net::Task<core::Result<void>> replace_shim(std::string task_id);
    bool is_of_other_build(const Task& task) const;
    wire::LocalTask describe(const Task& task) const;

    net::Loop& loop_;
    RunnerOptions options_;
    Descriptor binary_;  // whatever is under its name by now
    std::string name_;
    std::string gateway_;
    std::string bridge_;
    uint32_t prefix_length_ = 0;
    core::Bytes wireguard_key_;
    uint32_t last_address_ = 0;
    std::unique_ptr<LauncherClient> launcher_;
    std::optional<CgroupTree> cgroups_;
    Tasks tasks_;
    core::Callback<void(const wire::TaskEvent&)> on_event_;
    bool delivering_ = false;
    size_t exec_sessions_ = 0;
    net::Scope scope_;
};

}  // namespace smackd::agent
