#include "auth/server_check.h"

#include <algorithm>

namespace smackd::auth {

using core::Errc;

core::Result<void> check_server(const Registry& registry, const DialledServer& server, bool lenient) {
    if (!registry.known()) return {};
    const std::vector<wire::PutNode> nodes = registry.nodes();
    const auto row = std::ranges::find(nodes, server.id.value, &wire::PutNode::node_id);
    if (row == nodes.end()) {
        const bool newer =
            std::ranges::all_of(nodes, [&](const auto& node) { return node.node_id() < server.id.value; });
        if (newer) return {};
        return core::fail(Errc::kDenied, "node {} was removed from the cluster", server.id.value);
    }
    if (!std::ranges::contains(row->roles(), "server"))
        return core::fail(Errc::kDenied, "node {} is no server", server.id.value);
    if (server.generation < row->generation()) {
        return core::fail(Errc::kDenied, "the certificate of node {} is of generation {}, the node of {}",
                          server.id.value, server.generation, row->generation());
    }
    // A newer generation than the copy's is of a machine that has joined again since.
    if (lenient || server.generation > row->generation()) return {};
    return registry.check(server.id).transform([](const AdmittedNode&) {});
}

}  // namespace smackd::auth
