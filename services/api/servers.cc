#include "services/api/servers.h"

#include <algorithm>
#include <charconv>

#include "auth/registry.h"

namespace smackd::services {

core::Result<std::vector<wire::PutNode>> read_servers(View& view) {
    std::vector<wire::PutNode> servers;
    TRY_ASSIGN(auto nodes, view.nodes());
    for (auto& node : nodes) {
        if (std::ranges::contains(node.put.roles(), "server")) servers.push_back(std::move(node.put));
    }
    return servers;
}

std::vector<std::string> kdcs_of(const Call& call, const std::vector<wire::PutNode>& servers) {
    const std::string& own = call.api.options.kdc;
    if (own.empty()) return {};
    std::vector<std::string> kdcs{own};
    uint16_t port = 0;
    std::from_chars(own.data() + own.rfind(':') + 1, own.data() + own.size(), port);
    for (const wire::PutNode& server : servers) {
        if (core::NodeId{server.node_id()} == call.api.options.node.id) continue;
        std::string kdc = auth::kdc_of_server(server.address(), port);
        if (!std::ranges::contains(kdcs, kdc)) kdcs.push_back(std::move(kdc));
    }
    return kdcs;
}

}  // namespace smackd::services
