#include "services/apps/agent.h"

#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "core/agent_view.h"
#include "core/marathon/path_id.h"
#include "services/apps/task_spec.h"
#include "services/apps/tenant_rows.h"
#include "storage/state/limits.h"

namespace smackd::services {

using core::Errc;
using core::Result;

/// A task of this node, from its first sight until it is forgotten.
struct Agent::Round {
    explicit Round(net::Loop& loop) : done(loop) {}
    size_t under_way = 0;
    bool failed = false;
    net::Event done;
};

struct Agent::Local {
    explicit Local(net::Loop& loop) : work(loop) {}
    wire::Task row;
    wire::AppDefinition app;
    wire::TaskStatus status;
    uint64_t sequence = 0;  // of the runner's last event
    bool launched = false;  // the runner has it
    bool checked = false;   // its health checks run
    uint64_t checks = 0;    // which definition of them; loops of an older one end
    bool ending = false;
    bool ended = false;
    bool found_dead = false;  // when this process began; its shim had left no word
    bool again = false;       // runs anew in the sandbox it has
    net::Scope work;          // preparation and health checks
    images::ImageHold hold;
};

namespace {

constexpr core::Duration kGrace = core::seconds(3);
constexpr core::Duration kFirstCheckPause = core::milliseconds(50);  // grows by half each time

bool same_checks(const wire::AppDefinition& a, const wire::AppDefinition& b) {
    const auto only = [](const wire::AppDefinition& app) {
        wire::AppDefinition checks;
        *checks.mutable_health_checks() = app.health_checks();
        *checks.mutable_readiness_checks() = app.readiness_checks();
        return checks.SerializeAsString();
    };
    return only(a) == only(b);
}

core::Duration grace_of(const wire::Task& row) {
    return row.kill_grace_ms() > 0 ? core::Duration(core::milliseconds(row.kill_grace_ms())) : kGrace;
}

agent::TaskTenancy tenancy_of(const std::string& tenant, const std::map<std::string, uint32_t>& numbers) {
    const auto number = numbers.find(tenant);
    return {tenant, number == numbers.end() ? 0 : number->second};
}

/// nullptr when it is not known.
const wire::AppDefinition* definition_of(const wire::Task& task, const AppsModel& model,
                                         const Definitions& definitions) {
    const auto app = model.apps.find(task.app_id());
    if (app != model.apps.end() && app->second.put.config_version_ms() == task.config_version_ms())
        return &app->second.put;
    const auto own = definitions.find(core::definition_key(task));
    return own == definitions.end() ? nullptr : &own->second;
}

}  // namespace

Agent::Agent(Parts parts)
    : parts_(std::move(parts)),
      scope_(parts_.loop),
      preparing_(parts_.loop, kPreparingMax),
      untold_(parts_.loop),
      leases_(parts_.loop, parts_.runner, std::move(parts_.own_tasks), parts_.logger.named("leases")) {
    parts_.runner.subscribe([this](const wire::TaskEvent& event) { on_event(event); });
    scope_.spawn(tell_all());
}

Agent::~Agent() = default;

net::Task<void> Agent::close() {
    for (auto& [id, local] : tasks_) co_await local->work.close();
    co_await leases_.close();
    co_await scope_.close();
}

void Agent::look(const AppsModel& model, const Definitions& definitions) {
    if (apps::Tenants tenants = tenants_of(model); !looked_ || !(tenants_ == tenants)) {
        tenants_ = std::move(tenants);
        if (!std::exchange(telling_tenants_, true)) scope_.spawn(tell_tenants());
    }
    for (const auto& [id, row] : model.tasks) {
        if (row.put.node_id() == parts_.self.value)
            look_at(row.put, definition_of(row.put, model, definitions));
    }
    drop_strangers(model);
    looked_ = true;
}

/// Of tasks that run already; those to come are started with theirs.
net::Task<void> Agent::tell_tenants() {
    while (!scope_.cancelled()) {
        const apps::Tenants told = tenants_;
        std::map<std::string, agent::TaskTenancy> by_task;
        const auto numbers = told.numbers();
        for (const wire::LocalTask& task : parts_.runner.list()) {
            if (const auto app = marathon::app_of_task(task.task_id()))
                by_task[task.task_id()] = tenancy_of(told.of(*app), numbers);
        }
        auto done = co_await parts_.runner.set_tenants(std::move(by_task));
        if (done && told == tenants_) break;
        if (done) continue;
        parts_.logger.warning("keeping tenants apart", {{"error", done.error().message}});
        auto slept = co_await net::sleep(parts_.loop, kTellRetry);
        if (!slept) break;
    }
    telling_tenants_ = false;
}

std::map<std::string, wire::TaskStatus> Agent::statuses() const {
    std::map<std::string, wire::TaskStatus> all;
    for (const auto& [id, local] : tasks_) all[id] = local->status;
    return all;
}

void Agent::look_at(const wire::Task& row, const wire::AppDefinition* definition) {
    auto found = tasks_.find(row.id());
    if (found == tasks_.end()) {
        if (apps::has_ended(row.status().state())) return;  // what the runner still has of it is a stranger
        adopt(row, definition);
        found = tasks_.find(row.id());
    }
    const LocalPtr local = found->second;
    local->row = row;
    if (definition != nullptr) take_definition(local, *definition);
    const bool over_there = apps::has_ended(row.status().state());
    if (row.desired() == wire::Task::KILL || over_there) {
        end(local);
    } else if (row.status().state() == wire::TASK_UNREACHABLE && !local->ended) {
        tell(local);  // we are back
    }
}

/// Checks change without a restart. A task that was well counts as well until one of the new ones has failed.
void Agent::take_definition(const LocalPtr& local, const wire::AppDefinition& app) {
    const bool same = same_checks(local->app, app);
    wire::Task task = local->row;
    *task.mutable_status() = local->status;
    const bool well = apps::is_ready(task, local->app);
    local->app = app;
    if (same || !local->checked || local->ended) return;
    ++local->checks;
    auto& results = *local->status.mutable_health();
    while (results.size() > app.health_checks_size()) results.RemoveLast();
    while (results.size() < app.health_checks_size()) results.Add()->set_alive(well);
    if (well) local->status.set_ready(true);
    local->checked = false;
    if (!local->ending) start_checks(local);
    tell(local);
}

/// A task seen for the first time since this process runs: it goes on, or it begins.
void Agent::adopt(const wire::Task& row, const wire::AppDefinition* app) {
    auto local = std::make_shared<Local>(parts_.loop);
    local->row = row;
    local->status = row.status();
    if (app != nullptr) local->app = *app;
    tasks_[row.id()] = local;
    const auto running = parts_.runner.find(row.id());
    if (running) {
        local->launched = true;
        if (row.lease_generation() > 0) leases_.keep(row.id());
        const std::string& identity = running->spec().identity();
        if (parts_.identities != nullptr && !identity.empty() && running->phase() != wire::LocalTask::ENDED)
            parts_.identities->keep(row.id(), identity);
        local->found_dead = !looked_ && running->phase() == wire::LocalTask::ENDED;
        const auto digest = core::images::Digest::parse(running->spec().label());
        if (parts_.images != nullptr && digest) {
            if (auto image = parts_.images->hold(*digest)) local->hold = image->hold;
        }
        // Its shim may not have been heard yet since this process began: LAUNCHING then.
        if (running->phase() != wire::LocalTask::ENDED && local->status.state() == wire::TASK_RUNNING)
            start_checks(local);
        if (const auto early = early_.extract(row.id()); !early.empty()) on_event(early.mapped());
        return;
    }
    const bool never_ran = row.status().state() <= wire::TASK_STARTING;
    if (row.desired() == wire::Task::KILL) {
        fail(local, wire::TASK_KILLED, "", "ended before it ran");
    } else if (!never_ran) {
        fail(local, wire::TASK_FAILED, "REASON_EXECUTOR_TERMINATED",
             "the node has no record of the task; was its disk replaced?");
    } else if (app == nullptr) {
        fail(local, wire::TASK_ERROR, "REASON_TASK_INVALID", "the app is gone");
    } else {
        local->work.spawn(prepare(local));
    }
}

bool Agent::runs_again(const Local& local, const wire::TaskEvent& event) const {
    return local.found_dead && event.has_exited() && event.exited().reason() == wire::TaskExited::LOST &&
           !local.ending && local.row.desired() == wire::Task::RUN && local.row.lease_generation() == 0 &&
           local.row.status().state() != wire::TASK_UNREACHABLE && !local.app.id().empty();
}

net::Task<void> Agent::run_again(LocalPtr local, uint64_t sequence) {
    parts_.logger.info("a task that went with the machine is run again", {{"task", local->row.id()}});
    local->launched = false;
    local->found_dead = false;
    local->again = true;
    local->sequence = 0;
    local->status.Clear();
    auto forgotten = co_await parts_.runner.acknowledge(local->row.id(), sequence);
    if (!forgotten)
        parts_.logger.warning("forgetting a task",
                              {{"task", local->row.id()}, {"error", forgotten.error().message}});
    co_await prepare(local);
}

void Agent::end(const LocalPtr& local) {
    if (local->ending || local->ended) return;
    local->ending = true;
    if (local->launched) {
        wire::TaskStatus status = local->status;
        status.set_state(wire::TASK_KILLING);
        set_state(local, std::move(status));
        scope_.spawn(stop(local));
    } else {
        local->work.cancel("the task is to end");  // prepare() tells that it did
    }
}

/// Tasks of the runner that the state does not have: their row was removed while this node was away.
void Agent::drop_strangers(const AppsModel& model) {
    for (const wire::LocalTask& running : parts_.runner.list()) {
        const std::string& id = running.task_id();
        const auto row = model.tasks.find(id);
        const bool ours = row != model.tasks.end() && row->second.put.node_id() == parts_.self.value;
        if (ours && (!apps::has_ended(row->second.put.status().state()) || tasks_.contains(id))) continue;
        if (running.phase() == wire::LocalTask::ENDED) {
            early_.erase(id);
            scope_.spawn([](Agent& self, std::string task, uint64_t sequence) -> net::Task<void> {
                auto done = co_await self.parts_.runner.acknowledge(task, sequence);
                if (!done)
                    self.parts_.logger.warning("forgetting a task",
                                               {{"task", task}, {"error", done.error().message}});
            }(*this, id, running.last_sequence()));
        } else if (strangers_.insert(id).second) {
            parts_.logger.warning("a task that the cluster does not know is ended", {{"task", id}});
            scope_.spawn(kill(id, kGrace));
        }
    }
    std::erase_if(tasks_, [&](const auto& entry) {
        const bool gone = !model.tasks.contains(entry.first);
        return gone && entry.second->ended && !dirty_.contains(entry.first) &&
               entry.second->work.running() == 0;
    });
}

/// Nothing new for it, what is in hand ends, pre-stop, SIGTERM, after the grace SIGKILL. Begun anew by the
/// next daemon when this one stops meanwhile.
net::Task<void> Agent::stop(LocalPtr local) {
    const std::string id = local->row.id();
    if (parts_.release) {
        auto released = co_await parts_.release(id);
        if (!released || local->ended) co_return;
    }
    if (const std::string command{apps::label_of(local->app, kPreStopLabel)}; !command.empty()) {
        auto done = co_await net::with_deadline(parts_.loop, kPreStopLimit, "the pre-stop command",
                                                run_command(parts_.runner, id, command));
        if (scope_.cancelled() || local->ended) co_return;
        if (!done)
            parts_.logger.warning("a pre-stop command", {{"task", id}, {"error", done.error().message}});
    }
    co_await kill(id, grace_of(local->row));
}

net::Task<void> Agent::kill(std::string id, core::Duration grace) {
    auto killed = co_await parts_.runner.kill(id, grace);
    strangers_.erase(id);
    if (!killed && killed.error().code != Errc::kNotFound)
        parts_.logger.warning("ending a task", {{"task", id}, {"error", killed.error().message}});
}

net::Task<void> Agent::prepare(LocalPtr local) {
    wire::TaskStatus status;
    status.set_state(wire::TASK_STAGING);
    set_state(local, std::move(status));
    auto permit = co_await preparing_.acquire();
    Result<void> launched = permit ? Result<void>() : core::pass(std::move(permit));
    if (launched) {
        const net::Semaphore::Permit held(preparing_);
        launched = co_await launch(local);
    }
    if (launched || local->ended) co_return;
    if (local->ending || launched.error().code == Errc::kCancelled) {
        if (local->ending) fail(local, wire::TASK_KILLED, "", "ended before it ran");
        co_return;  // the daemon stops: the next one begins again
    }
    local->hold.reset();
    const bool invalid =
        launched.error().code == Errc::kInvalid || launched.error().code == Errc::kUnsupported;
    fail(local, invalid ? wire::TASK_ERROR : wire::TASK_FAILED,
         invalid ? "REASON_TASK_INVALID" : "REASON_CONTAINER_LAUNCH_FAILED", launched.error().message);
}

/// Image, artifacts, specification, start.
net::Task<Result<void>> Agent::launch(LocalPtr local) {
    const wire::AppDefinition app = local->app;
    const std::string id = local->row.id();
    SpecFacts facts;
    facts.sandbox = parts_.sandboxes + "/" + id;
    facts.agent_id = std::to_string(parts_.self.value);
    if (::mkdir(facts.sandbox.c_str(), 0755) != 0 && errno != EEXIST)
        co_return core::fail_errno(errno, "the task's sandbox");
    std::optional<images::Image> image;
    const bool needs_images = !app.container().image().empty() || app.fetch_size() > 0;
    if (needs_images && parts_.images == nullptr)
        co_return core::fail(Errc::kUnsupported, "this node has no image store; see its log");
    if (!app.container().image().empty()) {
        CO_TRY_ASSIGN(image, co_await parts_.images->ensure_image(
                                 {.name = app.container().image(),
                                  .force = app.container().force_pull() && !local->again}));
        local->hold = image->hold;
        facts.layers = image->layers;
        facts.image = &image->config;
        facts.image_id = image->id.to_string();
    }
    for (const wire::Fetch& fetch : app.fetch()) {
        if (local->again) break;  // they are there
        CO_TRY(co_await parts_.images->fetch({.uri = fetch.uri(),
                                              .extract = fetch.extract(),
                                              .executable = fetch.executable(),
                                              .cache = fetch.cache(),
                                              .destination = fetch.dest_path()},
                                             facts.sandbox));
    }
    facts.identity = co_await identity_of(app, id);
    CO_TRY_ASSIGN(wire::TaskSpec spec, spec_of(local->row, app, facts));
    wire::TaskStatus status = local->status;
    status.set_state(wire::TASK_STARTING);
    set_state(local, std::move(status));
    CO_TRY(co_await hand_over(local, std::move(spec)));
    local->launched = true;
    if (local->ending) scope_.spawn(stop(local));
    co_return Result<void>();
}

/// The directory of the task's identity. A node that cannot make it runs the task all the same.
net::Task<std::string> Agent::identity_of(const wire::AppDefinition& app, std::string id) {
    if (parts_.identities == nullptr || identity_path_of(app).empty()) co_return std::string();
    auto made = co_await parts_.identities->open(id);
    if (made) co_return std::move(*made);
    parts_.logger.warning("a task without identity", {{"task", id}, {"error", made.error().message}});
    co_return std::string();
}

/// To the runner, once it has forgotten what was of the task before.
net::Task<Result<void>> Agent::hand_over(LocalPtr local, wire::TaskSpec spec) {
    const core::Instant end = parts_.clock.now() + kForgetLimit;
    while (true) {
        const agent::TaskTenancy tenancy = tenancy_of(tenants_.of(local->row.app_id()), tenants_.numbers());
        spec.set_tenant(tenancy.tenant);
        spec.set_tenant_number(tenancy.number);
        if (local->row.lease_generation() > 0) {
            CO_TRY_ASSIGN(const int64_t until_ms, co_await leases_.grant(local->row.id()));
            spec.set_lease_until_ms(until_ms);
            leases_.keep(local->row.id());
        }
        auto launched = co_await parts_.runner.launch(wire::TaskSpec(spec));
        const bool too_early = !launched && launched.error().code == Errc::kConflict && local->again;
        if (!too_early || parts_.clock.now() > end) co_return launched;
        CO_TRY(co_await net::sleep(parts_.loop, core::milliseconds(100)));
    }
}

void Agent::on_event(const wire::TaskEvent& event) {
    const auto found = tasks_.find(event.task_id());
    if (found == tasks_.end()) {
        early_[event.task_id()] = event;
        return;
    }
    const LocalPtr local = found->second;
    if (runs_again(*local, event)) {
        local->work.spawn(run_again(local, event.sequence()));
        return;
    }
    local->sequence = std::max(local->sequence, event.sequence());
    local->launched = true;
    wire::TaskStatus status = local->status;
    if (event.has_started()) {
        status.set_state(local->ending ? wire::TASK_KILLING : wire::TASK_RUNNING);
        if (status.started_ms() == 0) status.set_started_ms(event.time_ms());
        status.set_task_address(event.started().address());
        status.set_pid(static_cast<uint32_t>(event.started().pid()));
        status.clear_message();
        status.clear_health();
        for (int index = 0; index < local->app.health_checks_size(); ++index) status.add_health();
    } else if (event.has_exited()) {
        wire::TaskStatus end = status_of_exit(event.exited());
        end.set_started_ms(status.started_ms());
        end.set_task_address(status.task_address());
        status = std::move(end);
        status.set_ended_ms(event.time_ms());
    } else {
        status.set_state(wire::TASK_FAILED);
        status.set_reason("REASON_CONTAINER_LAUNCH_FAILED");
        status.set_message(event.failed().message());
        status.set_ended_ms(event.time_ms());
    }
    status.set_uuid(event.uuid());
    set_state(local, std::move(status));
    if (event.has_started()) start_checks(local);
}

void Agent::fail(const LocalPtr& local, wire::TaskState state, std::string reason, std::string message) {
    wire::TaskStatus status = local->status;
    status.set_state(state);
    status.set_reason(std::move(reason));
    status.set_message(std::move(message));
    status.set_ended_ms(parts_.clock.wall().unix_ms);
    set_state(local, std::move(status));
}

void Agent::set_state(const LocalPtr& local, wire::TaskStatus status) {
    if (local->ended) return;
    status.set_time_ms(parts_.clock.wall().unix_ms);
    local->status = std::move(status);
    if (apps::has_ended(local->status.state())) {
        local->ended = true;
        leases_.drop(local->row.id());
        if (parts_.identities != nullptr) parts_.identities->drop(local->row.id());
        local->work.cancel("the task has ended");
        local->hold.reset();
    }
    tell(local);
}

void Agent::tell(const LocalPtr& local) {
    dirty_.insert(local->row.id());
    untold_.set();
    if (parts_.changed) parts_.changed();
}

/// Some of what is to be told, each task once: they are committed together.
std::vector<std::string> Agent::due_now() {
    std::vector<std::string> due;
    while (!dirty_.empty() && due.size() < kTellingMax) {
        std::string id = std::move(dirty_.extract(dirty_.begin()).value());
        if (tasks_.contains(id)) due.push_back(std::move(id));
    }
    return due;
}

net::Task<void> Agent::tell_in(std::shared_ptr<Round> round, std::string id) {
    auto told = co_await tell_one(tasks_.at(id));
    if (!told) {
        round->failed = true;
        dirty_.insert(id);
    }
    if (--round->under_way == 0) round->done.set();
}

net::Task<void> Agent::tell_all() {
    while (!scope_.cancelled()) {
        untold_.reset();
        auto round = std::make_shared<Round>(parts_.loop);
        std::vector<std::string> due = due_now();
        round->under_way = due.size();
        for (std::string& id : due) scope_.spawn(tell_in(round, std::move(id)));
        core::Result<void> woken;
        if (!due.empty()) woken = co_await round->done.wait();
        if (!woken) co_return;
        if (round->failed) {
            woken = co_await net::sleep(parts_.loop, kTellRetry);
        } else if (dirty_.empty()) {
            woken = co_await untold_.wait();
        }
        if (!woken) co_return;
    }
}

/// Commits the task's status as it is now; then the runner may forget what led to it.
net::Task<Result<bool>> Agent::tell_one(LocalPtr local) {
    const uint64_t sequence = local->sequence;
    wire::Command command;
    command.set_feature_level(storage::state::kLevelOfApps);
    auto* update = command.add_changes()->mutable_update_task_status();
    update->set_task_id(local->row.id());
    *update->mutable_status() = local->status;
    CO_TRY_ASSIGN(const wire::CommandResult result, co_await parts_.propose(std::move(command)));
    const auto code = static_cast<Errc>(result.code());
    // A task that is gone or has ended there needs no news of it any more.
    const bool settled = result.code() == 0 || code == Errc::kNotFound || code == Errc::kConflict;
    if (!settled) co_return core::fail(code, "{}", result.message());
    if (sequence > 0) CO_TRY(co_await parts_.runner.acknowledge(local->row.id(), sequence));
    co_return true;
}

void Agent::start_checks(const LocalPtr& local) {
    if (std::exchange(local->checked, true)) return;
    while (local->status.health_size() < local->app.health_checks_size()) local->status.add_health();
    for (int index = 0; index < local->app.health_checks_size(); ++index)
        local->work.spawn(check(local, index));
    if (local->app.readiness_checks_size() > 0 && !local->status.ready())
        local->work.spawn(check_readiness(local));
}

/// One round; nullopt when it succeeded.
net::Task<std::optional<std::string>> Agent::check_now(LocalPtr local, const wire::HealthCheck& rule) {
    wire::Task task = local->row;
    *task.mutable_status() = local->status;
    auto target = check_target(local->app, task, rule);
    if (!target) co_return target.error().message;
    co_return co_await check_once(parts_.loop, parts_.tls, parts_.runner, task, rule, *target);
}

/// Until the first round that succeeds or an interval after the first one: looked at often, so that a task
/// that is well soon gets requests soon. What fails here is not counted.
net::Task<Result<void>> Agent::await_first(LocalPtr local, wire::HealthCheck rule) {
    const core::Instant end = parts_.clock.now() + core::milliseconds(rule.interval_ms());
    rule.set_timeout_ms(std::min<int64_t>(rule.timeout_ms(), rule.interval_ms()));
    core::Duration pause = kFirstCheckPause;
    while (!local->ended && parts_.clock.now() + pause < end) {
        if (!co_await check_now(local, rule)) break;
        CO_TRY(co_await net::sleep(parts_.loop, pause));
        pause += pause / 2;
    }
    co_return Result<void>();
}

net::Task<void> Agent::check(LocalPtr local, int index) {
    const wire::HealthCheck rule = local->app.health_checks(index);
    const uint64_t checks = local->checks;
    const core::Duration interval = core::milliseconds(std::max<int64_t>(rule.interval_ms(), 100));
    // Marathon's own checks begin at once; the delay is one of Mesos' (and the command's).
    const bool delayed = rule.protocol() >= wire::CHECK_COMMAND;
    auto slept = co_await net::sleep(parts_.loop, core::milliseconds(delayed ? rule.delay_ms() : 0));
    const bool costs_little = rule.protocol() != wire::CHECK_COMMAND;
    if (local->checks != checks) co_return;
    if (slept && costs_little && local->status.health(index).first_success_ms() == 0)
        slept = co_await await_first(local, rule);
    while (slept && !local->ended && local->checks == checks) {
        const std::optional<std::string> failure = co_await check_now(local, rule);
        if (local->ended || local->ending || local->work.cancelled() || local->checks != checks) co_return;
        const wire::HealthResult before = local->status.health(index);
        const wire::HealthResult after = next_result(before, rule, failure.value_or(""),
                                                     local->status.started_ms(), parts_.clock.wall().unix_ms);
        *local->status.mutable_health(index) = after;
        if (worth_telling(before, after, rule)) tell(local);
        slept = co_await net::sleep(parts_.loop, interval);
    }
}

/// Until it is ready once.
net::Task<void> Agent::check_readiness(LocalPtr local) {
    const wire::ReadinessCheck rule = local->app.readiness_checks(0);
    const uint64_t checks = local->checks;
    const core::Duration interval = core::milliseconds(std::max<int64_t>(rule.interval_ms(), 100));
    while (!local->ended && !local->ending && !local->work.cancelled() && local->checks == checks) {
        wire::Task task = local->row;
        *task.mutable_status() = local->status;
        if (co_await is_ready_now(parts_.loop, parts_.tls, local->app, task, rule)) {
            if (local->ended || local->work.cancelled() || local->checks != checks) co_return;
            local->status.set_ready(true);
            co_return tell(local);
        }
        auto slept = co_await net::sleep(parts_.loop, interval);
        if (!slept) co_return;
    }
}

}  // namespace smackd::services
