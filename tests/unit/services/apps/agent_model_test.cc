// The model of applications from an agent's rows, and the table of its edge.
#include "services/apps/agent_model.h"

#include <catch2/catch_test_macros.hpp>

#include "core/agent_view.h"
#include "services/apps/edge_table.h"

namespace smackd::services {
namespace {

constexpr core::NodeId kSelf{3};

wire::AppDefinition app(int64_t config) {
    wire::AppDefinition made;
    made.set_id("/web");
    made.set_cmd("run");
    made.set_version_ms(config);
    made.set_config_version_ms(config);
    made.add_networks()->set_mode(wire::NETWORK_CONTAINER);
    wire::Port* port = made.add_ports();
    port->set_container_port(8080);
    port->set_service_port(10080);
    made.add_labels()->set_key("HAPROXY_GROUP");
    made.mutable_labels(0)->set_value("internal");
    return made;
}

wire::Task task(const std::string& id, uint64_t node, uint32_t host_port, int64_t config = 1) {
    wire::Task made;
    made.set_id(id);
    made.set_app_id("/web");
    made.set_config_version_ms(config);
    made.set_node_id(node);
    made.set_host_address("10.0.0." + std::to_string(node));
    made.add_host_ports(host_port);
    made.mutable_status()->set_state(wire::TASK_RUNNING);
    made.mutable_status()->set_task_address("10.64.0." + std::to_string(node));
    return made;
}

/// As an agent's feed tells it.
void tell(AgentModel& model, std::string_view kind, const std::string& key, const std::string& row,
          bool removed = false) {
    for (const core::RowForAgents& seen : core::for_agents({kind, key, row, removed, 1})) {
        const bool definition = seen.row.kind() == "definition";
        if (definition || core::agent_sees(seen, kSelf)) REQUIRE(model.apply(seen.row));
    }
}

void tell(AgentModel& model, const wire::Task& row, bool removed = false) {
    tell(model, "task", row.id(), row.SerializeAsString(), removed);
}

void tell(AgentModel& model, const wire::AppDefinition& row) {
    tell(model, "app", row.id(), row.SerializeAsString());
}

std::map<std::string, std::string> backends(const AgentModel& model, const EdgeFacts& facts) {
    std::map<std::string, std::string> found;
    for (const wire::EdgeTask& one : edge_table(model.model, facts).tasks())
        found[one.id()] = one.ports(0).backend();
    return found;
}
using Backends = std::map<std::string, std::string>;

TEST_CASE("an agent routes to its own tasks directly and to others by their nodes' ports") {
    AgentModel model;
    tell(model, app(1));
    tell(model, task("web.own", 3, 31000));
    tell(model, task("web.other", 4, 31001));
    tell(model, task("web.hidden", 4, 0));  // has no port on its node
    EdgeFacts facts;
    facts.self = kSelf;
    CHECK(backends(model, facts) ==
          Backends{{"web.own", "10.64.0.3:8080"}, {"web.other", "10.0.0.4:31001"}, {"web.hidden", ""}});
    const wire::EdgeTable table = edge_table(model.model, facts);
    REQUIRE(table.apps_size() == 1);
    CHECK(table.apps(0).ports(0).service_port() == 10080);
    for (const wire::EdgeTask& one : table.tasks())
        CHECK(one.addresses_size() == (one.id() == "web.own" ? 1 : 0));
    tell(model, task("web.other", 4, 31001), true);
    CHECK(backends(model, facts).size() == 2);
}

TEST_CASE("what has died on this node is in the table no more, whatever the state says") {
    AgentModel model;
    tell(model, app(1));
    tell(model, task("web.own", 3, 31000));
    EdgeFacts facts;
    facts.self = kSelf;
    facts.statuses["web.own"].set_state(wire::TASK_FAILED);
    CHECK(backends(model, facts).empty());
}

TEST_CASE("of its own tasks an agent has what they run, of other apps the routes") {
    AgentModel model;
    tell(model, app(1));
    tell(model, task("web.own", 3, 31000));
    REQUIRE(model.definitions.contains("/web 1"));
    CHECK(model.definitions["/web 1"].cmd() == "run");
    CHECK(model.model.apps["/web"].put.cmd().empty());
    wire::AgentRow gone;
    gone.set_kind("definition");
    gone.set_key("/web 1");
    gone.set_removed(true);
    REQUIRE(model.apply(gone));
    CHECK(model.definitions.empty());
    gone.set_removed(false);
    gone.set_row("\xff");
    CHECK(model.apply(gone).error().code == core::Errc::kCorrupt);
    CHECK(model.definitions.empty());
}

}  // namespace
}  // namespace smackd::services
