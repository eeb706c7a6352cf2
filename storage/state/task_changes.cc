// Tasks and the capacity of nodes. The leader decides where tasks run; what apply checks again is what two
// leaders' plans, or a plan and a node's news, could break: resources, ports, and that a task ends once.
#include <set>

#include "core/apps/task_rules.h"
#include "core/names.h"
#include "core/wire/serialize.h"
#include "storage/state/app_rows.h"
#include "storage/state/authorization.h"
#include "storage/state/changes.h"

namespace smackd::storage::state {

using core::Action;
using core::Errc;

namespace {

Outcome<void> system_only(const Writer& writer, std::string_view what) {
    if (writer.command().actor().kind() == wire::Actor::SYSTEM) return {};
    return refuse(Errc::kDenied, "{} is decided by the cluster itself", what);
}

Outcome<void> write_task(Writer& writer, const wire::Task& task) {
    core::Bytes bytes = serialize(task);
    if (bytes.size() > kTaskBytesMax)
        return refuse(Errc::kInvalid, "task '{}': {} bytes, the limit is {}", task.id(), bytes.size(),
                      kTaskBytesMax);
    const bool ended = apps::has_ended(task.status().state());
    const wire::Resources& needs = task.resources();
    sqlite::Database& state = writer.state();
    TRY(state.run(
        "INSERT OR REPLACE INTO tasks VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        {task.id(), task.app_id(), task.node_id(), task.machine(),
         std::string(task_state_name(task.status().state())),
         task.desired() == wire::Task::KILL ? "kill" : "run", ended, needs.cpus_milli(), needs.memory_bytes(),
         needs.disk_bytes(), needs.gpus(), sqlite::Blob{bytes}, writer.next_revision()}));
    if (ended) TRY(state.run("DELETE FROM task_ports WHERE task = ?", {task.id()}));
    TRY(writer.emit({.kind = "task", .key = task.id(), .row = std::move(bytes)}));
    return {};
}

struct Sum {
    uint64_t wanted;
    uint64_t taken;
    uint64_t total;
    std::string_view what;
};

/// The node must have room: two leaders' plans cannot both take the last of it.
Outcome<void> check_room(Writer& writer, const wire::Task& task) {
    sqlite::Database& state = writer.state();
    TRY_ASSIGN(
        auto total,
        state.query("SELECT cpus_milli, memory_bytes, disk_bytes, gpus FROM capacities WHERE node_id = ?",
                    {task.node_id()}));
    TRY_ASSIGN(const bool known, total.next());
    if (!known) return refuse(Errc::kUnavailable, "node {} has not told what it has", task.node_id());
    TRY_ASSIGN(
        auto taken,
        state.query(
            "SELECT ifnull(sum(cpus_milli), 0), ifnull(sum(memory_bytes), 0), "
            "ifnull(sum(disk_bytes), 0), ifnull(sum(gpus), 0) FROM tasks WHERE node_id = ? AND ended = 0",
            {task.node_id()}));
    TRY_ASSIGN(const bool summed, taken.next());
    (void)summed;
    const wire::Resources& needs = task.resources();
    const Sum sums[] = {
        {needs.cpus_milli(), taken.row().number(0), total.row().number(0), "cpus"},
        {needs.memory_bytes(), taken.row().number(1), total.row().number(1), "memory"},
        {needs.disk_bytes(), taken.row().number(2), total.row().number(2), "disk"},
        {needs.gpus(), taken.row().number(3), total.row().number(3), "gpus"},
    };
    for (const Sum& sum : sums) {
        if (sum.wanted == 0 || sum.taken + sum.wanted <= sum.total) continue;
        return refuse(Errc::kConflict,
                      "node {} has no room for task '{}': {} of {} {} are taken, it needs {}", task.node_id(),
                      task.id(), sum.taken, sum.total, sum.what, sum.wanted);
    }
    return {};
}

Outcome<void> take_ports(Writer& writer, const wire::Task& task) {
    sqlite::Database& state = writer.state();
    std::set<uint32_t> ports(task.host_ports().begin(), task.host_ports().end());
    ports.erase(0);
    for (const uint32_t port : ports) {
        TRY_ASSIGN(const int64_t taken,
                   state.integer("SELECT count(*) FROM task_ports WHERE node_id = ? AND port = ?",
                                 {task.node_id(), port}));
        if (taken != 0) return refuse(Errc::kConflict, "port {} of node {} is taken", port, task.node_id());
    }
    for (const uint32_t port : ports) {
        TRY(state.run("INSERT INTO task_ports VALUES(?, ?, ?)", {task.node_id(), port, task.id()}));
    }
    return {};
}

Outcome<void> launch_task(Writer& writer, const wire::Task& task) {
    TRY(system_only(writer, "launching a task"));
    TRY(refused(core::check_text("task id", task.id(), 255)));
    TRY_ASSIGN(const auto app, app_version(writer, task.app_id()));
    if (app == 0) return refuse(Errc::kNotFound, "App '{}' does not exist", task.app_id().substr(0, 128));
    TRY_ASSIGN(const int64_t node,
               writer.state().integer("SELECT count(*) FROM nodes WHERE node_id = ?", {task.node_id()}));
    if (node == 0) return refuse(Errc::kNotFound, "no node {}", task.node_id());
    TRY_ASSIGN(const int64_t tasks, writer.state().integer("SELECT count(*) FROM tasks"));
    if (tasks >= kTasksMax)
        return refuse(Errc::kBusy, "there are {} tasks already, the limit is {}", tasks, kTasksMax);
    TRY(check_room(writer, task));
    TRY(take_ports(writer, task));
    return write_task(writer, task);
}

/// A user may only ask for a task's end; everything else of it stays as it is.
Outcome<void> kill_by_user(Writer& writer, wire::Task task, const wire::Task& wanted) {
    TRY(may_on_app(writer, Action::kKill, task.app_id()));
    if (wanted.desired() != wire::Task::KILL)
        return refuse(Errc::kDenied, "task '{}': a user may only end it", task.id());
    task.set_desired(wire::Task::KILL);
    task.set_kill_ms(writer.position().time_ms);
    task.set_kill_grace_ms(wanted.kill_grace_ms());
    task.set_kill_reason(wanted.kill_reason());
    task.set_wipe(wanted.wipe());
    return write_task(writer, task);
}

/// Which machine the actor is, or empty when it is none.
std::string machine_of(const wire::Actor& actor) {
    const std::string& principal = actor.principal();
    if (actor.kind() != wire::Actor::MACHINE || !principal.starts_with("smack/")) return {};
    return principal.substr(6, principal.find('@') - 6);
}

/// The node's own machine, or the system.
Outcome<void> own_node(Writer& writer, uint64_t node_id) {
    const wire::Actor& actor = writer.command().actor();
    if (actor.kind() == wire::Actor::SYSTEM) return {};
    TRY_ASSIGN(const std::string realm, cluster_realm(writer.state()));
    TRY_ASSIGN(const int64_t own,
               writer.state().integer("SELECT count(*) FROM nodes WHERE node_id = ? AND machine = ?",
                                      {node_id, machine_of(actor)}));
    if (own == 1 && actor.principal().ends_with("@" + realm)) return {};
    return refuse(Errc::kDenied, "'{}' may not speak for node {}", actor.principal(), node_id);
}

}  // namespace

Outcome<void> put_task(Writer& writer, const wire::PutTask& change) {
    wire::Task task = change.task();
    TRY_ASSIGN(auto before, task_row(writer.state(), task.id()));
    if (!before) return launch_task(writer, task);
    const wire::Actor::Kind actor = writer.command().actor().kind();
    if (actor == wire::Actor::USER || actor == wire::Actor::TASK)
        return kill_by_user(writer, std::move(*before), task);
    TRY(system_only(writer, "changing a task"));
    if (before->node_id() != task.node_id() || before->app_id() != task.app_id()) {
        return refuse(Errc::kConflict, "task '{}': its app and node stay", task.id());
    }
    // A change by the leader says nothing of what the node has told meanwhile, nor takes back what it holds.
    *task.mutable_status() = before->status();
    *task.mutable_resources() = before->resources();
    *task.mutable_host_ports() = before->host_ports();
    return write_task(writer, task);
}

Outcome<void> remove_task(Writer& writer, const wire::RemoveTask& change) {
    TRY(system_only(writer, "forgetting a task"));
    sqlite::Database& state = writer.state();
    TRY_ASSIGN(const auto before, task_row(state, change.id()));
    TRY(state.run("DELETE FROM tasks WHERE id = ?", {change.id()}));
    if (state.changes() == 0)
        return refuse(Errc::kNotFound, "Task '{}' does not exist", change.id().substr(0, 128));
    TRY(state.run("DELETE FROM task_ports WHERE task = ?", {change.id()}));
    core::Bytes row;
    if (before && writer.position().feature_level >= kLevelOfOwnedRemovals) row = serialize(*before);
    TRY(writer.emit({.kind = "task", .key = change.id(), .removed = true, .row = std::move(row)}));
    return {};
}

Outcome<void> update_task_status(Writer& writer, const wire::UpdateTaskStatus& change) {
    TRY_ASSIGN(auto task, task_row(writer.state(), change.task_id()));
    if (!task) return refuse(Errc::kNotFound, "Task '{}' does not exist", change.task_id().substr(0, 128));
    TRY(own_node(writer, task->node_id()));
    if (apps::has_ended(task->status().state())) {
        return refuse(Errc::kConflict, "task '{}' has ended: {}", task->id(),
                      task_state_name(task->status().state()));
    }
    *task->mutable_status() = change.status();
    return write_task(writer, *task);
}

Outcome<void> put_node_capacity(Writer& writer, const wire::PutNodeCapacity& change) {
    const wire::NodeCapacity& capacity = change.capacity();
    TRY(own_node(writer, capacity.node_id()));
    TRY_ASSIGN(const int64_t node,
               writer.state().integer("SELECT count(*) FROM nodes WHERE node_id = ?", {capacity.node_id()}));
    if (node == 0) return refuse(Errc::kNotFound, "no node {}", capacity.node_id());
    TRY(refused(core::check_text("address", capacity.address(), 64)));
    TRY(refused(core::check_text("task_subnet", capacity.task_subnet(), 64)));
    if (writer.position().feature_level >= kLevelOfOwnedRemovals)
        TRY(refused(core::check_text("region", capacity.region(), kAttributeBytesMax)));
    if (capacity.ports_size() > kPortRangesMax)
        return refuse(Errc::kInvalid, "ports: {} ranges, the limit is {}", capacity.ports_size(),
                      kPortRangesMax);
    for (const wire::PortRange& range : capacity.ports()) {
        if (range.first() == 0 || range.last() > 65535 || range.first() > range.last())
            return refuse(Errc::kInvalid, "ports {}-{}: must be from 1 to 65535, the lower one first",
                          range.first(), range.last());
    }
    core::Bytes bytes = serialize(capacity);
    const wire::Resources& total = capacity.total();
    TRY(writer.state().run("INSERT OR REPLACE INTO capacities VALUES(?, ?, ?, ?, ?, ?, ?)",
                           {capacity.node_id(), total.cpus_milli(), total.memory_bytes(), total.disk_bytes(),
                            total.gpus(), sqlite::Blob{bytes}, writer.next_revision()}));
    TRY(writer.emit(
        {.kind = "capacity", .key = std::to_string(capacity.node_id()), .row = std::move(bytes)}));
    return {};
}

}  // namespace smackd::storage::state
