// /smack/v1/status: the cluster and this server's place in it.
#include <algorithm>

#include "core/apps/overlay.h"
#include "services/api/handlers.h"
#include "services/api/live_nodes.h"
#include "services/api/resource.h"

namespace smackd::services::handlers {

using core::Json;
using core::Result;

namespace {

using NodesRead = ReadAt<Rows<wire::PutNode>>;

std::string_view role_name(storage::ReplicaRole role) {
    switch (role) {
        case storage::ReplicaRole::kUnavailable:
            return "unavailable";
        case storage::ReplicaRole::kFollower:
            return "follower";
        case storage::ReplicaRole::kCandidate:
            return "candidate";
        case storage::ReplicaRole::kLeader:
            return "leader";
    }
    return "unknown";
}

std::string_view role_name(storage::ServerRole role) {
    switch (role) {
        case storage::ServerRole::kVoter:
            return "voter";
        case storage::ServerRole::kStandby:
            return "standby";
        case storage::ServerRole::kSpare:
            return "spare";
    }
    return "unknown";
}

int64_t in_ms(core::Duration duration) {
    return std::chrono::duration_cast<core::milliseconds>(duration).count();
}

/// The machine a server runs on, as it registered; ourselves we know anyway.
std::string machine_of(const Call& call, const NodesRead& nodes, core::NodeId id) {
    if (id == call.api.options.node.id) return call.api.options.node.machine;
    const auto found = std::ranges::find(nodes.value, id.value,
                                         [](const Row<wire::PutNode>& node) { return node.put.node_id(); });
    return found == nodes.value.end() ? std::string{} : found->put.machine();
}

Json cluster_json(const Call& call, core::Revision revision) {
    const wire::InitCluster& cluster = call.view->cluster;
    Json json;
    json.set("name", cluster.cluster_name()).set("id", cluster.cluster_id());
    json.set("realm", cluster.realm()).set("embedded_realm", cluster.embedded_realm());
    json.set("feature_level", call.view->feature_level).set("revision", revision.to_string());
    return json;
}

Json node_json(const Call& call, const storage::ReplicaStatus& status) {
    const NodeFacts& node = call.api.options.node;
    Json json;
    json.set("id", std::to_string(node.id.value)).set("machine", node.machine).set("version", node.version);
    json.set("role", role_name(status.role));
    json.set("uptime_ms", in_ms(call.api.environment.clock.now() - call.api.started));
    json.set("last_index", status.last_index.value).set("commit_index", status.commit_index.value);
    json.set("applied_index", status.applied_index.value);
    json.set("leader_contact_ms", in_ms(status.since_leader_contact));
    return json;
}

Json servers_json(const Call& call, const NodesRead& nodes, const storage::ReplicaStatus& status) {
    Json servers = Json::array();
    for (const storage::Server& server : status.servers) {
        Json json;
        json.set("id", std::to_string(server.id.value)).set("machine", machine_of(call, nodes, server.id));
        json.set("address", server.address).set("role", role_name(server.role));
        json.set("leader", server.id == status.leader).set("self", server.id == call.api.options.node.id);
        servers.push(std::move(json));
    }
    return servers;
}

Json leader_json(const Call& call, const NodesRead& nodes, const storage::ReplicaStatus& status) {
    if (status.leader.value == 0) return {};
    Json json;
    json.set("id", std::to_string(status.leader.value))
        .set("machine", machine_of(call, nodes, status.leader));
    for (const storage::Server& server : status.servers) {
        if (server.id == status.leader) json.set("address", server.address);
    }
    return json;
}

/// Nodes and what is known of scheduled backups, of one revision.
struct StatusRead {
    NodesRead nodes;
    BackupRecord backup;
    std::vector<std::string> taskless;  ///< machines that should run tasks and cannot
    /// Of tasks of different nodes: machines that take part, and those of them that cannot encrypt.
    std::vector<std::string> networked{};
    std::vector<std::string> clear{};
    std::vector<std::string> network_problems{};
};

/// In a sentence, whether what goes between tasks of different nodes can be read on its way.
std::string network_text(const StatusRead& read) {
    if (read.networked.size() < 2) return "no two nodes whose tasks reach each other by address";
    if (read.clear.empty()) return "encrypted between all nodes (WireGuard)";
    std::string text = "in clear text to and from";
    for (const std::string& machine : read.clear)
        text += (machine == read.clear.front() ? " " : ", ") + machine;
    return text + " (no WireGuard there)";
}

Json alarms_json(const storage::ReplicaStatus& status, const StatusRead& read, const apps::Outage& outage) {
    const BackupRecord& backup = read.backup;
    Json alarms = Json::array();
    if (outage.certain) alarms.push(Json::object().set("name", "nodes").set("message", outage.text()));
    for (const std::string& machine : read.taskless) {
        const std::string message = std::format("{} cannot run tasks; its log says why", machine);
        alarms.push(Json::object().set("name", "tasks").set("message", message));
    }
    if (backup.failed.unix_ms != 0)
        alarms.push(Json::object().set("name", "backup_failed").set("message", backup.failure));
    for (const std::string& problem : read.network_problems)
        alarms.push(Json::object().set("name", "network").set("message", problem));
    for (const storage::Alarm& alarm : status.alarms) {
        if (alarm.message.empty()) continue;
        alarms.push(Json::object().set("name", alarm.name).set("message", alarm.message));
    }
    return alarms;
}

Result<NodesRead> read_nodes(View& view) {
    NodesRead nodes;
    nodes.revision = view.point().revision;
    TRY_ASSIGN(nodes.value, view.nodes());
    return nodes;
}

Result<StatusRead> read_status(View& view) {
    StatusRead read;
    TRY_ASSIGN(read.nodes, read_nodes(view));
    TRY_ASSIGN(const auto setting, view.setting(kBackupSetting));
    // One that cannot be read is as good as none: status must be told in any case.
    if (setting) read.backup = BackupRecord::parse(setting->put.value()).value_or(BackupRecord{});
    TRY_ASSIGN(const auto capacities, view.capacities());
    for (const auto& capacity : capacities) {
        // It has told of ports for tasks, and of nothing to run them with (node/local_tasks.h).
        const wire::NodeCapacity& told = capacity.put;
        const auto node = std::ranges::find(read.nodes.value, capacity.put.node_id(),
                                            [](const auto& row) { return row.put.node_id(); });
        if (node == read.nodes.value.end()) continue;
        const std::string& machine = node->put.machine();
        const wire::NodeNetwork network = apps::network_of(told);
        if (network.vxlan_port() != 0) read.networked.push_back(machine);
        if (network.vxlan_port() != 0 && network.wireguard_key().empty()) read.clear.push_back(machine);
        for (const std::string& problem : network.problems())
            read.network_problems.push_back(machine + ": " + problem);
        if (told.ports_size() != 0 && told.total().memory_bytes() == 0) read.taskless.push_back(machine);
    }
    return read;
}

/// Where the last backup of the schedule is, whichever server made it.
Json backup_json(const Call& call, const BackupRecord& backup) {
    Json json;
    const BackupDoor* door = call.api.environment.backups;
    const core::Duration every = door == nullptr ? core::Duration(0) : door->plan().every;
    json.set("every_s", int64_t{std::chrono::duration_cast<core::seconds>(every).count()});
    json.set("last_time_ms", backup.made.unix_ms).set("last_revision", backup.revision);
    json.set("last_server", backup.server).set("last_file", backup.file).set("last_bytes", backup.bytes);
    if (backup.failed.unix_ms != 0)
        json.set("failed_time_ms", backup.failed.unix_ms).set("failure", backup.failure);
    return json;
}

}  // namespace

// For everybody whom some rule names: it tells who the servers are, not who the people are.
Answer status(Call& call) {
    CO_TRY(call.require_some_rule(core::Action::kView));
    CO_TRY(co_await await_freshness(call));
    CO_TRY_ASSIGN(const StatusRead found, co_await read<StatusRead>(call, &read_status));
    const core::Result<const AppsModel*> model = co_await call.api.apps.current();
    const apps::Outage outage = model ? outage_now(call, **model) : apps::Outage{};
    const NodesRead& nodes = found.nodes;
    const storage::ReplicaStatus& replica = call.api.environment.state.status();
    Json json;
    json.set("cluster", cluster_json(call, nodes.revision)).set("term", replica.term.value);
    json.set("leader", leader_json(call, nodes, replica)).set("node", node_json(call, replica));
    json.set("servers", servers_json(call, nodes, replica))
        .set("alarms", alarms_json(replica, found, outage));
    json.set("backup", backup_json(call, found.backup)).set("task_network", network_text(found));
    co_return read_reply(call, nodes.revision, std::move(json));
}

}  // namespace smackd::services::handlers
