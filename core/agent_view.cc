#include "core/agent_view.h"

#include "core/wire/app.pb.h"

namespace smackd::core {
namespace {

enum class Sight : uint8_t {
    kAll,  ///< every agent
    kOwn,  ///< the node that the row names
};

struct Rule {
    std::string_view kind;
    Sight sight;
};

// The cluster's row holds its id, name, realm and CA certificate; machines and nodes are the registry. Routes
// need the endpoints of all tenants.
constexpr Rule kRules[] = {
    {"cluster", Sight::kAll}, {"level", Sight::kAll},    {"machine", Sight::kAll},
    {"node", Sight::kAll},    {"endpoint", Sight::kAll}, {"task", Sight::kOwn},
};

const Rule* rule_of(std::string_view kind) {
    for (const Rule& rule : kRules) {
        if (rule.kind == kind) return &rule;
    }
    return nullptr;
}

/// Of a task; 0 for a row that names no node.
NodeId owner_of(BytesView row) {
    wire::Task task;
    if (!task.ParseFromArray(row.data(), static_cast<int>(row.size()))) return {};
    return NodeId{task.node_id()};
}

}  // namespace

std::optional<RowForAgents> for_agents(const StateRow& row) {
    const Rule* rule = rule_of(row.kind);
    if (rule == nullptr) return std::nullopt;
    RowForAgents seen;
    if (rule->sight == Sight::kOwn) {
        seen.only = owner_of(row.row);
        if (seen.only.value == 0 && !row.removed) return std::nullopt;  // nobody's, so nobody sees it
    }
    seen.row.set_kind(std::string(row.kind));
    seen.row.set_key(std::string(row.key));
    if (!row.removed) seen.row.set_row(std::string(row.row));
    seen.row.set_removed(row.removed);
    seen.row.set_version(row.version);
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
