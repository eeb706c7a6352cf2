// The agent: brings what runs on this node in line with what the state wants here, and tells the state what
// became of it.
//
// A task whose shim was gone when this process began (the machine was switched off, or restarted) is run
// again under its id, with or without a server to ask, unless it holds a lease; its sandbox is as it was
// left.
//
// Level-triggered, like the scheduler: every look at the model compares it with the runner's tasks. A status
// is told until it is committed; only then the runner forgets the event behind it, so neither a crash of the
// daemon nor one of the leader loses the end of a task.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/apps/tenants.h"
#include "core/callback.h"
#include "core/clock.h"
#include "core/logger.h"
#include "net/scope.h"
#include "net/sync.h"
#include "services/agent/task_runner.h"
#include "services/apps/agent_model.h"
#include "services/apps/health.h"
#include "services/apps/leases.h"
#include "services/images/images.h"

namespace smackd::services {

inline constexpr size_t kPreparingMax = 8;  ///< images and artifacts fetched at once
inline constexpr size_t kTellingMax = 64;   ///< statuses on their way to the state at once
/// Of an app: a command that is run in each of its tasks, by /bin/sh, before SIGTERM.
inline constexpr std::string_view kPreStopLabel = "SMACKD_PRE_STOP";
inline constexpr core::Duration kPreStopLimit = core::seconds(30);
/// After the state could not be told something (no leader).
inline constexpr core::Duration kTellRetry = core::milliseconds(500);
/// How long the runner may take to forget a task that is to run again.
inline constexpr core::Duration kForgetLimit = core::seconds(30);

/// Where images and artifacts come from. Loop thread.
class ImageSource {
 public:
    virtual ~ImageSource() = default;
    virtual net::Task<core::Result<images::Image>> ensure_image(images::ImageRequest request) = 0;
    /// Keeps the layers of a task that runs already.
    virtual core::Result<images::Image> hold(const core::images::Digest& id) = 0;
    virtual net::Task<core::Result<void>> fetch(images::ArtifactRequest request, std::string sandbox) = 0;
};

/// What gives tasks their token and socket. Loop thread.
class IdentitySource {
 public:
    virtual ~IdentitySource() = default;
    /// The directory that becomes the task's, with its socket; the token may come later. The same when it is
    /// there.
    virtual net::Task<core::Result<std::string>> open(std::string task) = 0;
    /// Of a task that was started with that directory by a process before this one.
    virtual void keep(std::string task, std::string directory) = 0;
    /// The task has ended: nobody speaks for it any more.
    virtual void drop(std::string task) = 0;
};

class Agent {
 public:
    struct Parts {
        net::Loop& loop;
        agent::TaskRunner& runner;
        ImageSource* images = nullptr;  ///< nullptr: no images and no artifacts on this node
        net::TlsEngine* tls = nullptr;  ///< for HTTPS checks
        const core::Clock& clock;
        core::NodeId self;
        std::string sandboxes;  ///< absolute directory: one below it for each task
        core::Logger logger;
        /// Proposes a command as this machine.
        core::Callback<net::Task<core::Result<wire::CommandResult>>(wire::Command)> propose;
        /// Returns when nobody sends anything to the task any more, or not in time; an error: the daemon
        /// stops. Empty: nobody ever does.
        core::Callback<net::Task<core::Result<void>>(std::string)> release = {};
        /// Some task's status has changed here, whether or not the state can be told; may be empty.
        core::Callback<void()> changed = {};
        AskOwnTasks own_tasks = {};            ///< what a task with a lease runs by
        IdentitySource* identities = nullptr;  ///< nullptr: tasks have none on this node
    };
    /// Loop thread, as everything here. Everything in `parts` outlives close().
    explicit Agent(Parts parts);
    ~Agent();

    /// The state as it is now. What a task runs is its app, when that has the task's configuration, else what
    /// `definitions` say.
    void look(const AppsModel& model, const Definitions& definitions = {});
    /// What this node knows of its tasks, by id: newer than what the state does.
    std::map<std::string, wire::TaskStatus> statuses() const;
    net::Task<void> close();

    struct Local;

 private:
    struct Round;
    using LocalPtr = std::shared_ptr<Local>;

    void look_at(const wire::Task& row, const wire::AppDefinition* definition);
    void take_definition(const LocalPtr& local, const wire::AppDefinition& app);
    void adopt(const wire::Task& row, const wire::AppDefinition* app);
    bool runs_again(const Local& local, const wire::TaskEvent& event) const;
    net::Task<void> run_again(LocalPtr local, uint64_t sequence);
    void end(const LocalPtr& local);
    void drop_strangers(const AppsModel& model);
    net::Task<void> tell_tenants();
    net::Task<void> prepare(LocalPtr local);
    net::Task<core::Result<void>> launch(LocalPtr local);
    net::Task<std::string> identity_of(const wire::AppDefinition& app, std::string id);
    net::Task<core::Result<void>> hand_over(LocalPtr local, wire::TaskSpec spec);
    net::Task<void> stop(LocalPtr local);
    net::Task<void> kill(std::string id, core::Duration grace);
    net::Task<void> check(LocalPtr local, int index);
    net::Task<core::Result<void>> await_first(LocalPtr local, wire::HealthCheck rule);
    net::Task<std::optional<std::string>> check_now(LocalPtr local, const wire::HealthCheck& rule);
    net::Task<void> check_readiness(LocalPtr local);
    void start_checks(const LocalPtr& local);

    void on_event(const wire::TaskEvent& event);
    void set_state(const LocalPtr& local, wire::TaskStatus status);
    void fail(const LocalPtr& local, wire::TaskState state, std::string reason, std::string message);
    void tell(const LocalPtr& local);
    std::vector<std::string> due_now();
    net::Task<void> tell_in(std::shared_ptr<Round> round, std::string id);
    net::Task<void> tell_all();
    net::Task<core::Result<bool>> tell_one(LocalPtr local);

    Parts parts_;
    net::Scope scope_;
    net::Semaphore preparing_;
    net::Event untold_;
    LeaseKeeper leases_;
    std::map<std::string, LocalPtr> tasks_;
    std::map<std::string, wire::TaskEvent> early_;  // last events of tasks that the model has not shown yet
    std::set<std::string> dirty_;                   // to be told
    std::set<std::string> strangers_;               // being ended
    apps::Tenants tenants_;
    bool telling_tenants_ = false;
    bool looked_ = false;
};

}  // namespace smackd::services
