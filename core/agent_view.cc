#include "core/agent_view.h"

#include <algorithm>
#include <format>

#include "core/apps/task_rules.h"
#include "core/wire/app.pb.h"
#include "core/wire/serialize.h"

namespace smackd::core {
namespace {

using Rows = std::vector<RowForAgents>;
using Maker = Rows (*)(const StateRow& row);

struct Rule {
    std::string_view kind;
    Maker make;
};

constexpr std::string_view kNameSettings = "dns/";  // an operator's names, which everybody may ask for
// Whose tasks to keep apart, by which numbers, and what is allowed all the same.
constexpr std::string_view kTenantSettings[] = {"tenant/", "tenant_number/", "tenant_allow/"};
constexpr std::string_view kRouteLabels = "HAPROXY_";

RowForAgents made(std::string_view kind, const StateRow& row, BytesView bytes, bool removed) {
    RowForAgents seen;
    seen.row.set_kind(std::string(kind));
    seen.row.set_key(std::string(row.key));
    if (!removed) seen.row.set_row(std::string(bytes));
    seen.row.set_removed(removed);
    seen.row.set_version(row.version);
    return seen;
}

Rows as_it_is(const StateRow& row) {
    return {made(row.kind, row, row.row, row.removed)};
}

Rows setting_rows(const StateRow& row) {
    const bool shown =
        row.key.starts_with(kNameSettings) ||
        std::ranges::any_of(kTenantSettings, [&](auto prefix) { return row.key.starts_with(prefix); });
    return shown ? as_it_is(row) : Rows();
}

/// Whether requests may have gone to it: then others know of it.
bool was_endpoint(const wire::Task& task) {
    return task.status().started_ms() != 0 || task.status().state() >= wire::TASK_RUNNING;
}

bool is_endpoint(const wire::Task& task) {
    const wire::TaskState state = task.status().state();
    return state == wire::TASK_RUNNING || state == wire::TASK_KILLING || state == wire::TASK_UNREACHABLE;
}

/// Where a task is and whether it may get requests; neither what it runs nor what became of it.
wire::Task endpoint_of(const wire::Task& task) {
    wire::Task endpoint;
    endpoint.set_id(task.id());
    endpoint.set_app_id(task.app_id());
    endpoint.set_app_version_ms(task.app_version_ms());
    endpoint.set_node_id(task.node_id());
    endpoint.set_machine(task.machine());
    endpoint.set_host_address(task.host_address());
    *endpoint.mutable_host_ports() = task.host_ports();
    endpoint.set_desired(task.desired());
    wire::TaskStatus* status = endpoint.mutable_status();
    status->set_state(task.status().state());
    status->set_ready(task.status().ready());
    status->set_task_address(task.status().task_address());
    for (const wire::HealthResult& health : task.status().health()) {
        wire::HealthResult* result = status->add_health();
        result->set_alive(health.alive());
        result->set_consecutive_failures(std::min(health.consecutive_failures(), 1U));
    }
    return endpoint;
}

Rows task_rows(const StateRow& row) {
    wire::Task task;
    const bool known = !row.row.empty() &&
                       task.ParseFromArray(row.row.data(), static_cast<int>(row.row.size())) &&
                       task.node_id() != 0;
    if (!known && !row.removed) return {};  // nobody's, so nobody sees it
    if (!known) return {made("task", row, {}, true), made("endpoint", row, {}, true)};
    Rows rows;
    rows.push_back(made("task", row, row.row, row.removed));
    rows.back().only = NodeId{task.node_id()};
    rows.back().definition = definition_key(task);
    const bool shown = !row.removed && is_endpoint(task);
    if (!shown && !was_endpoint(task)) return rows;
    if (row.removed && apps::has_ended(task.status().state())) return rows;  // went when it ended
    rows.push_back(made("endpoint", row, wire::serialize(endpoint_of(task)), !shown));
    rows.back().except = NodeId{task.node_id()};
    return rows;
}

/// What the edge of any node needs of an app: names, ports, labels of routes, which checks there are.
wire::AppDefinition route_of(const wire::AppDefinition& app) {
    wire::AppDefinition route;
    route.set_id(app.id());
    route.set_version_ms(app.version_ms());
    route.set_tenant(app.tenant());
    *route.mutable_ports() = app.ports();
    for (const wire::Network& network : app.networks()) {
        wire::Network* one = route.add_networks();
        one->set_mode(network.mode());
        one->set_name(network.name());
    }
    for (const wire::Label& label : app.labels()) {
        if (label.key().starts_with(kRouteLabels)) *route.add_labels() = label;
    }
    // What a check asks makes the mode of its port (core/apps/routes.h), what it needs to be well stays away.
    for (const wire::HealthCheck& check : app.health_checks()) {
        wire::HealthCheck* one = route.add_health_checks();
        one->set_protocol(check.protocol());
        if (check.has_port_index()) one->set_port_index(check.port_index());
    }
    for (int i = 0; i < app.readiness_checks_size(); ++i) route.add_readiness_checks();
    return route;
}

Rows app_rows(const StateRow& row) {
    if (row.removed) return {made("route", row, {}, true)};
    wire::AppDefinition app;
    if (!app.ParseFromArray(row.row.data(), static_cast<int>(row.row.size())) || app.id() != row.key)
        return {};
    return {made("route", row, wire::serialize(route_of(app)), false),
            definition_for_agents(app, row.version)};
}

// The cluster's row holds its id, name, realm and CA certificate; machines and nodes are the registry, with
// the capacities come the nodes' addresses.
constexpr Rule kRules[] = {
    {"cluster", as_it_is},  {"level", as_it_is},       {"machine", as_it_is}, {"node", as_it_is},
    {"capacity", as_it_is}, {"setting", setting_rows}, {"app", app_rows},     {"task", task_rows},
};

}  // namespace

std::vector<RowForAgents> for_agents(const StateRow& row) {
    const auto* rule = std::ranges::find(kRules, row.kind, &Rule::kind);
    return rule == std::end(kRules) ? Rows() : rule->make(row);
}

std::string definition_key(const wire::Task& task) {
    return std::format("{} {}", task.app_id(), task.config_version_ms());
}

std::string definition_key(const wire::AppDefinition& app) {
    return std::format("{} {}", app.id(), app.config_version_ms());
}

RowForAgents definition_for_agents(const wire::AppDefinition& app, uint64_t version) {
    RowForAgents seen;
    seen.definition = definition_key(app);
    seen.row.set_kind("definition");
    seen.row.set_key(seen.definition);
    seen.row.set_row(wire::serialize(app));
    seen.row.set_version(version);
    return seen;
}

const std::vector<std::string>& agent_kinds() {
    static const std::vector<std::string> kinds = [] {
        std::vector<std::string> names;
        for (const Rule& rule : kRules) names.emplace_back(rule.kind);
        return names;
    }();
    return kinds;
}

}  // namespace smackd::core
