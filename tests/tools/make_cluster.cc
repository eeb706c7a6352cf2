// Makes the data directories of a static cluster for tests: one CA, one realm, N voters that know each
// other's addresses.
//
//     make_cluster REALM DIRECTORY=HOST:PORT DIRECTORY=HOST:PORT ...
//
// Node i is named n<i>; the API of each also has the key of HTTP/localhost. Each directory is then started by
// `smackd start --data-dir DIRECTORY --cluster-addr HOST:PORT ...`.
#include <cstdio>
#include <format>
#include <string>
#include <vector>

#include "cmd/smackd/bootstrap.h"

namespace smackd {
namespace {

struct Node {
    std::string directory;
    std::string address;
};

int fail(const std::string& text) {
    std::fprintf(stderr, "make_cluster: %s\n", text.c_str());
    return 2;
}

int make(const std::string& realm, const std::vector<Node>& nodes) {
    cmd::BootstrapPlan plan;
    plan.directory = nodes[0].directory;
    plan.node_name = "n1";
    plan.cluster_name = "test";
    plan.realm = realm;
    plan.embedded_realm = true;
    plan.cluster_address = nodes[0].address;
    plan.http_names = {"localhost"};
    for (size_t i = 1; i < nodes.size(); ++i) {
        plan.further_voters.push_back({i + 1, std::format("n{}", i + 1), nodes[i].address});
        plan.http_names.push_back(std::format("n{}", i + 1));
    }
    auto made = cmd::bootstrap(plan);
    if (!made) return fail(made.error().message);
    for (size_t i = 1; i < nodes.size(); ++i) {
        auto further =
            cmd::bootstrap_further_voter(plan, *made, plan.further_voters[i - 1], nodes[i].directory);
        if (!further) return fail(further.error().message);
    }
    return 0;
}

}  // namespace
}  // namespace smackd

int main(int argc, char** argv) {
    std::vector<smackd::Node> nodes;
    for (int i = 2; i < argc; ++i) {
        std::string text = argv[i];
        size_t equals = text.rfind('=');
        if (equals == std::string::npos) return smackd::fail("arguments are DIRECTORY=HOST:PORT");
        nodes.push_back({text.substr(0, equals), text.substr(equals + 1)});
    }
    if (nodes.empty()) return smackd::fail("usage: make_cluster REALM DIRECTORY=HOST:PORT ...");
    return smackd::make(argv[1], nodes);
}
