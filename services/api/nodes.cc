// /smack/v1/nodes: the machines that have joined, and their drains.
#include <charconv>
#include <map>

#include "core/apps/overlay.h"
#include "services/api/command_json.h"
#include "services/api/live_nodes.h"
#include "services/api/resource.h"
#include "services/api/settings.h"

namespace smackd::services {
namespace {

using core::Json;
using core::Result;

struct NodesRead {
    Rows<wire::PutNode> nodes;
    std::map<uint64_t, wire::DrainNode> drains;
    std::map<uint64_t, uint64_t> tasks;
};

Result<ReadAt<NodesRead>> read_nodes(View& view) {
    ReadAt<NodesRead> read;
    read.revision = view.point().revision;
    TRY_ASSIGN(read.value.nodes, view.nodes());
    TRY_ASSIGN(auto drains, view.drains());
    for (auto& row : drains) read.value.drains[row.put.node_id()] = std::move(row.put);
    TRY_ASSIGN(read.value.tasks, view.task_counts());
    return read;
}

Json node_json(const NodesRead& read, const Row<wire::PutNode>& node, core::Revision revision,
               const std::vector<LiveMember>& members) {
    const uint64_t id = node.put.node_id();
    Json row = versioned_json(node, revision);
    const auto member = std::ranges::find(members, core::NodeId{id}, &LiveMember::id);
    const bool known = member != members.end();
    row.set("liveness", known ? std::string(member->state) : "unknown");
    if (known)
        row.set("liveness_s", int64_t{std::chrono::duration_cast<core::seconds>(member->since).count()});
    const auto tasks = read.tasks.find(id);
    row.set("tasks", static_cast<int64_t>(tasks == read.tasks.end() ? 0 : tasks->second));
    const auto drain = read.drains.find(id);
    if (drain != read.drains.end()) row.set("drain", to_json(drain->second));
    return row;
}

Json resources_json(const wire::Resources& resources) {
    return Json::object()
        .set("cpus", static_cast<double>(resources.cpus_milli()) / 1000)
        .set("memory_bytes", resources.memory_bytes())
        .set("disk_bytes", resources.disk_bytes())
        .set("gpus", resources.gpus());
}

/// What a node has for tasks, and what those it has reserve of it; nothing for one that runs none.
using Room = std::map<uint64_t, std::pair<wire::NodeCapacity, wire::Resources>>;
Room room_of(const AppsModel& model) {
    Room room;
    for (const auto& [id, capacity] : model.capacities) room[id].first = capacity;
    for (const auto& [id, row] : model.tasks) {
        const auto found = room.find(row.put.node_id());
        if (found != room.end() && !apps::has_ended(row.put))
            apps::add(found->second.second, row.put.resources());
    }
    return room;
}

void add_room(Json& row, const wire::NodeCapacity& capacity, const wire::Resources& reserved) {
    Json has = resources_json(capacity.total());
    has.set("address", capacity.address()).set("region", capacity.region());
    const wire::NodeNetwork network = apps::network_of(capacity);
    has.set("task_subnet", capacity.task_subnet());
    has.set("wireguard_key", core::to_base64(network.wireguard_key()));
    Json problems = Json::array();
    for (const std::string& problem : network.problems()) problems.push(problem);
    has.set("network_problems", std::move(problems));
    row.set("capacity", std::move(has)).set("reserved", resources_json(reserved));
}

Result<uint64_t> parse_node_id(const std::string& text) {
    uint64_t id = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
    if (error == std::errc() && end == text.data() + text.size() && id != 0) return id;
    return core::fail(core::Errc::kInvalid, "node '{}': must be a node's number", text.substr(0, 64));
}

}  // namespace

namespace handlers {

Answer list_nodes(Call& call) {
    CO_TRY(call.require(core::Action::kView));
    CO_TRY(co_await await_freshness(call));
    CO_TRY_ASSIGN(const ReadAt<NodesRead> found, co_await read<ReadAt<NodesRead>>(call, &read_nodes));
    const std::vector<LiveMember> members = live_members(call);
    CO_TRY_ASSIGN(const AppsModel* model, co_await call.api.apps.current());
    const Room room = room_of(*model);
    Json array = Json::array();
    for (const auto& node : found.value.nodes) {
        Json row = node_json(found.value, node, found.revision, members);
        if (const auto has = room.find(node.put.node_id()); has != room.end())
            add_room(row, has->second.first, has->second.second);
        array.push(std::move(row));
    }
    co_return read_reply(call, found.revision, Json::object().set("nodes", std::move(array)));
}

Answer remove_node(Call& call) {
    CO_TRY(call.require(core::Action::kAdmin));
    CO_TRY_ASSIGN(const uint64_t id, parse_node_id(call.argument()));
    wire::Command command = make_command(call);
    command.add_changes()->mutable_remove_node()->set_node_id(id);
    CO_TRY_ASSIGN(const core::Revision revision,
                  co_await change(call, std::move(command), {.kind = "node", .key = call.argument()}));
    co_return changed_reply(200, revision);
}

/// Whether so many nodes are away at once that nothing is replaced, as this server sees it.
Answer read_hold(Call& call) {
    CO_TRY(call.require(core::Action::kView));
    CO_TRY(co_await await_freshness(call));
    CO_TRY_ASSIGN(const AppsModel* model, co_await call.api.apps.current());
    const apps::Outage outage = outage_now(call, *model);
    Json json;
    json.set("percent", int64_t{model->hold_percent}).set("nodes", int64_t{outage.nodes});
    json.set("unreachable", int64_t{outage.unreachable}).set("holds", outage.certain);
    co_return json_reply(200, std::move(json));
}

Answer put_hold(Call& call) {
    CO_TRY(call.require(core::Action::kAdmin));
    CO_TRY_ASSIGN(const Json body, co_await read_body(call));
    const Json& percent = body["percent"];
    if (!percent.is_integer() || percent.as_integer() < 1 || percent.as_integer() > kHoldPercentMax)
        co_return core::fail(core::Errc::kInvalid, "percent: must be a whole number from 1 to {}",
                             kHoldPercentMax);
    co_return co_await put_setting(call, std::string(kHoldSetting), std::to_string(percent.as_integer()));
}

Answer drain_node(Call& call) {
    CO_TRY(call.require(core::Action::kAdmin));
    CO_TRY_ASSIGN(const uint64_t id, parse_node_id(call.argument()));
    CO_TRY_ASSIGN(const Json body, co_await read_body(call));
    CO_TRY_ASSIGN(wire::DrainNode drain, drain_from_json(body));
    drain.set_node_id(id);
    wire::Command command = make_command(call);
    command.set_feature_level(storage::state::kLevelOfDrains);
    *command.add_changes()->mutable_drain_node() = std::move(drain);
    CO_TRY_ASSIGN(const core::Revision revision,
                  co_await change(call, std::move(command), {.kind = "drain", .key = call.argument()}));
    co_return changed_reply(200, revision);
}

Answer undrain_node(Call& call) {
    CO_TRY(call.require(core::Action::kAdmin));
    CO_TRY_ASSIGN(const uint64_t id, parse_node_id(call.argument()));
    wire::Command command = make_command(call);
    command.set_feature_level(storage::state::kLevelOfDrains);
    command.add_changes()->mutable_undrain_node()->set_node_id(id);
    CO_TRY_ASSIGN(const core::Revision revision,
                  co_await change(call, std::move(command), {.kind = "drain", .key = call.argument()}));
    co_return changed_reply(200, revision);
}

}  // namespace handlers
}  // namespace smackd::services
