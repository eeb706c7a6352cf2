#include "services/apps/edge_table.h"

#include <algorithm>
#include <map>

#include "core/apps/routes.h"
#include "core/marathon/path_id.h"
#include "services/apps/tenant_rows.h"

namespace smackd::services {
namespace {

constexpr std::string_view kFramework = "marathon";

void fill_port(wire::EdgePort& port, const apps::Route& route) {
    port.set_service_port(route.service_port);
    port.set_http(route.mode == apps::RouteMode::kHttp);
    for (const std::string& group : route.groups) port.add_groups(group);
    for (const std::string& host : route.virtual_hosts) {
        const auto add = [&](const std::string& path) {
            wire::EdgeRoute* one = port.add_routes();
            one->set_host(host);
            one->set_path(path);
            one->set_weight(route.weight);
        };
        if (route.paths.empty()) add("");
        for (const std::string& path : route.paths) add(path);
    }
    port.set_redirect_to_https(route.redirect_to_https);
    port.set_hsts(route.hsts);
    port.set_sticky(route.sticky);
    port.set_tls(!route.certificate.empty());
    for (const std::string& network : route.allowed_networks) port.add_allowed_sources(network);
    port.set_least_connections(route.balance == "leastconn");
}

wire::EdgeApp app_of(const wire::AppDefinition& app, const std::string& tenant) {
    wire::EdgeApp edge;
    edge.set_id(app.id());
    edge.set_tenant(tenant);
    const apps::Routes routes = apps::routes_of(app);
    for (int index = 0; index < app.ports_size(); ++index) {
        wire::EdgePort* port = edge.add_ports();
        port->set_index(static_cast<uint32_t>(index));
        const auto route =
            std::ranges::find(routes.routes, static_cast<uint32_t>(index), &apps::Route::port_index);
        if (route != routes.routes.end()) fill_port(*port, *route);
    }
    return edge;
}

/// Of a task that runs. Checks that came with a later definition than the task's and that its node has not
/// looked at yet change nothing.
bool takes_requests(const wire::Task& task, const wire::AppDefinition& app) {
    if (apps::is_ready(task, app)) return true;
    const auto& results = task.status().health();
    const bool newer_checks =
        task.app_version_ms() < app.version_ms() && results.size() < app.health_checks_size();
    return newer_checks && std::ranges::all_of(results, &wire::HealthResult::alive);
}

wire::EdgeTask::Health health_of(const wire::Task& task, const wire::AppDefinition& app) {
    if (app.health_checks().empty() && app.readiness_checks().empty()) return wire::EdgeTask::NO_CHECKS;
    if (takes_requests(task, app)) return wire::EdgeTask::HEALTHY;
    const bool judged = std::ranges::any_of(task.status().health(), [](const wire::HealthResult& result) {
        return !result.alive() && result.consecutive_failures() > 0;
    });
    return judged ? wire::EdgeTask::UNHEALTHY : wire::EdgeTask::PENDING;
}

/// How a task is reached from this node.
struct Reach {
    bool here = false;        ///< it runs on this node
    bool by_address = false;  ///< by its own address
};

void fill_ports(wire::EdgeTask& edge, const wire::Task& task, const wire::AppDefinition& app, Reach reach) {
    const bool host = app.networks_size() == 0 || app.networks(0).mode() == wire::NETWORK_HOST;
    for (int index = 0; index < app.ports_size(); ++index) {
        const wire::Port& wanted = app.ports(index);
        const uint32_t host_port = index < task.host_ports_size() ? task.host_ports(index) : 0;
        const uint32_t inside = wanted.container_port() != 0 ? wanted.container_port() : host_port;
        wire::EdgeTaskPort* port = edge.add_ports();
        port->set_name(wanted.name());
        port->set_protocol(wanted.udp() ? (wanted.tcp() ? "udp,tcp" : "udp") : "tcp");
        port->set_host_port(host_port);
        port->set_container_port(host ? 0 : inside);
        // On its own node a task is reached without the detour over the published port; of another one, which
        // may have no way to its address, the port is taken where there is one.
        if (reach.here || (reach.by_address && host_port == 0 && inside != 0))
            port->set_backend(std::format("{}:{}", task.status().task_address(), inside));
        else if (host_port != 0)
            port->set_backend(std::format("{}:{}", task.host_address(), host_port));
    }
}

wire::EdgeTask task_of(const wire::Task& task, const wire::AppDefinition& app, const std::string& tenant,
                       const EdgeFacts& facts) {
    wire::EdgeTask edge;
    edge.set_id(task.id());
    edge.set_app(app.id());
    edge.set_tenant(tenant);
    edge.set_framework(std::string(kFramework));
    edge.set_name(marathon::id_reversed(app.id()));
    edge.set_agent(edge_agent_name(core::NodeId{task.node_id()}));
    edge.add_host_addresses(task.host_address());
    const bool has_address = !task.status().task_address().empty();
    const Reach reach{has_address && task.node_id() == facts.self.value,
                      has_address && facts.connected.contains(task.node_id())};
    if (reach.here) edge.add_sources(task.status().task_address());
    if ((reach.here || reach.by_address) && app.networks_size() > 0 &&
        app.networks(0).mode() == wire::NETWORK_CONTAINER)
        edge.add_addresses(task.status().task_address());
    edge.set_running(task.status().state() == wire::TASK_RUNNING ||
                     task.status().state() == wire::TASK_UNREACHABLE);
    edge.set_health(health_of(task, app));
    edge.set_draining(task.desired() == wire::Task::KILL);
    fill_ports(edge, task, app, reach);
    return edge;
}

void fill_hosts(wire::EdgeSettings& settings, const AppsModel& model, core::NodeId leader) {
    for (const auto& [id, node] : model.nodes) {
        const auto capacity = model.capacities.find(id);
        if (capacity == model.capacities.end() || capacity->second.address().empty()) continue;
        wire::EdgeHost* host = settings.add_hosts();
        host->set_name(node.machine());
        host->add_addresses(capacity->second.address());
        host->set_server(std::ranges::contains(node.roles(), "server"));
        host->set_agent(true);
        if (id == leader.value) settings.add_leader_addresses(capacity->second.address());
    }
}

/// Rows with their ids; the bytes tell whether they differ.
template <class Row, class Key>
std::map<std::string, const Row*> by_id(const google::protobuf::RepeatedPtrField<Row>& rows, Key key) {
    std::map<std::string, const Row*> map;
    for (const Row& row : rows) map.emplace(key(row), &row);
    return map;
}

template <class Row, class Key, class Put, class Remove>
void differ(const google::protobuf::RepeatedPtrField<Row>& before,
            const google::protobuf::RepeatedPtrField<Row>& after, Key key, Put put, Remove remove) {
    const auto old_rows = by_id(before, key);
    const auto new_rows = by_id(after, key);
    for (const auto& [id, row] : new_rows) {
        const auto old_row = old_rows.find(id);
        if (old_row == old_rows.end() || old_row->second->SerializeAsString() != row->SerializeAsString())
            put(*row);
    }
    for (const auto& [id, row] : old_rows) {
        if (!new_rows.contains(id)) remove(id);
    }
}

}  // namespace

std::string edge_agent_name(core::NodeId node) {
    return std::format("node-{}", node.value);
}

wire::EdgeTable edge_table(const AppsModel& model, const EdgeFacts& facts) {
    wire::EdgeTable table;
    table.set_epoch(model.revision.epoch);
    table.set_revision(model.revision.number);
    *table.mutable_settings() = facts.settings;
    fill_hosts(*table.mutable_settings(), model, facts.leader);
    const apps::Tenants tenants = tenants_of(model);
    for (const auto& [id, row] : model.apps) *table.add_apps() = app_of(row.put, tenants.of(id));
    for (const auto& [id, row] : model.tasks) {
        const auto app = model.apps.find(row.put.app_id());
        if (app == model.apps.end() || apps::has_ended(row.put)) continue;
        const std::string& tenant = tenants.of(row.put.app_id());
        const auto known = facts.statuses.find(id);
        if (known == facts.statuses.end()) {
            *table.add_tasks() = task_of(row.put, app->second.put, tenant, facts);
            continue;
        }
        wire::Task task = row.put;
        *task.mutable_status() = known->second;
        if (!apps::has_ended(task)) *table.add_tasks() = task_of(task, app->second.put, tenant, facts);
    }
    for (const auto& [name, addresses] : model.names) {
        if (is_tenant_key(name)) continue;
        wire::EdgeName* edge = table.add_names();
        edge->set_name(name);
        for (const std::string& address : addresses) edge->add_addresses(address);
    }
    return table;
}

wire::EdgeDelta edge_delta(const wire::EdgeTable& before, const wire::EdgeTable& after, bool& changed) {
    wire::EdgeDelta delta;
    delta.set_epoch(after.epoch());
    delta.set_revision(after.revision());
    changed = false;
    const auto put = [&](auto* place, const auto& row) {
        *place = row;
        changed = true;
    };
    if (before.settings().SerializeAsString() != after.settings().SerializeAsString())
        put(delta.mutable_settings(), after.settings());
    differ(
        before.apps(), after.apps(), [](const auto& row) { return row.id(); },
        [&](const auto& row) { put(delta.add_apps(), row); },
        [&](const std::string& id) { put(delta.add_removed_apps(), id); });
    differ(
        before.tasks(), after.tasks(), [](const auto& row) { return row.id(); },
        [&](const auto& row) { put(delta.add_tasks(), row); },
        [&](const std::string& id) { put(delta.add_removed_tasks(), id); });
    differ(
        before.names(), after.names(), [](const auto& row) { return row.name(); },
        [&](const auto& row) { put(delta.add_names(), row); },
        [&](const std::string& id) { put(delta.add_removed_names(), id); });
    differ(
        before.certificates(), after.certificates(), [](const auto& row) { return row.id(); },
        [&](const auto& row) { put(delta.add_certificates(), row); },
        [&](const std::string& id) { put(delta.add_removed_certificates(), id); });
    return delta;
}

}  // namespace smackd::services
