#include "cmd/smackd/doctor/peers.h"

#include <algorithm>
#include <format>
#include <ranges>

#include "cmd/smackd/config.h"
#include "cmd/smackd/join.h"
#include "cmd/smackd/version.h"
#include "net/rpc/peer_transport.h"
#include "net/rpc/rpc.h"
#include "net/scope.h"
#include "net/socket.h"
#include "net/tls/tls.h"

namespace smackd::cmd {
namespace {

using core::Errc;
using core::Result;

/// What was reached before it failed: the advice depends on it.
struct Progress {
    bool connected = false;
    bool proved = false;
};

net::Task<Result<void>> greet(net::Loop& loop, net::WorkerPool& workers, const PeerChecks& checks,
                              std::string server, Progress& progress) {
    CO_TRY_ASSIGN(net::HostPort at, net::parse_host_port(server));
    CO_TRY_ASSIGN(auto raw, co_await net::connect_host(loop, std::move(at), kPeerLimit));
    progress.connected = true;
    auto own = read_node_identity(checks.directory);
    if (!own) {
        co_await raw->close();
        co_return Result<void>();  // a server makes its certificate at the start
    }
    net::TlsEngine engine(loop, workers);
    net::TlsClientOptions tls;
    CO_TRY_ASSIGN(tls.ca_pem, read_ca(checks.directory));
    tls.certificate_pem = own->certificate_pem;
    tls.key_pem = own->key_pem;
    tls.alpn = {std::string(net::rpc::kPeerAlpn)};
    tls.versions = net::TlsVersions::kOnly13;
    CO_TRY_ASSIGN(auto config, net::TlsConfig::client(std::move(tls)));
    CO_TRY_ASSIGN(auto stream, co_await engine.connect(std::move(raw), std::move(config), ""));
    auto node = net::rpc::node_of_certificate(*stream->tls()->peer_certificate(), checks.identity.cluster_id);
    progress.proved = node.has_value();
    if (!node || !checks.greet) {
        co_await stream->close();
        if (!node) co_return core::pass(std::move(node));
        co_return Result<void>();
    }
    net::rpc::Hello hello;
    hello.software = std::string(kVersion);
    hello.node = core::NodeId{checks.identity.node_id};
    CO_TRY_ASSIGN(auto client,
                  co_await net::rpc::RpcClient::connect(loop, std::move(stream), std::move(hello)));
    // The first call is answered by a refusal, or by whatever a call without a name is worth.
    auto answer = co_await client->call("doctor", {}, kPeerLimit);
    co_await client->close();
    if (!answer && answer.error().code == Errc::kDenied) co_return core::pass(std::move(answer));
    co_return Result<void>();
}

Finding judge(const std::string& server, const Result<void>& asked, const Progress& progress) {
    const std::string check = "peer " + server;
    if (asked) return fine(check, progress.proved ? "answers and is of this cluster" : "answers");
    const std::string& why = asked.error().message;
    if (!progress.connected)
        return failed(
            check, why,
            "is smackd running there, is the name right, and does a firewall let TCP and UDP through?",
            std::format("ssh {} systemctl status smackd", host_of(server)));
    if (!progress.proved)
        return failed(
            check, why,
            "it is not of this cluster, or one of the two has the files of another one: compare cluster_id "
            "in node.json",
            std::format("ssh {} cat /var/lib/smackd/node.json", host_of(server)));
    return failed(
        check, "refuses this node: " + why,
        "the registry decides: resume a machine that is suspended, let one that was removed join anew",
        "smackd machine list   # on a server");
}

Finding ask(const PeerChecks& checks, const std::string& server) {
    net::Loop loop("doctor");
    net::WorkerPool workers("doctor", 1, 16);
    Progress progress;
    auto asked = net::block_on(loop, greet(loop, workers, checks, server, progress));
    return judge(server, asked, progress);
}

}  // namespace

Findings examine_peers(const PeerChecks& checks) {
    Findings out;
    std::vector<std::string> asked;
    for (const std::string& server : checks.servers) {
        const bool own = host_of(server) == checks.identity.name || server == checks.identity.address;
        if (own || std::ranges::contains(asked, server) || asked.size() >= kPeersAsked) continue;
        asked.push_back(server);
        out.push_back(ask(checks, server));
    }
    return out;
}

Finding examine_seed(const std::string& seed) {
    const std::string address = seed.contains(':') ? seed : std::format("{}:{}", seed, kClusterPort);
    const std::string check = "seed " + address;
    auto at = net::parse_host_port(address);
    if (!at)
        return failed(check, at.error().message, "name it as NAME or NAME:PORT", "smackd doctor --seed NAME");
    net::Loop loop("doctor");
    auto stream = net::block_on(loop, net::connect_host(loop, *at, kPeerLimit));
    if (stream) {
        net::block_on(loop, (*stream)->close());
        return fine(check, "answers");
    }
    const bool unknown = stream.error().code == Errc::kNotFound;
    return failed(check, stream.error().message,
                  unknown ? "name it in DNS or in /etc/hosts"
                          : "is smackd running there, and does a firewall let TCP 5055 through?",
                  unknown ? std::format("echo 'ADDRESS {}' >>/etc/hosts", at->host)
                          : std::format("ssh {} systemctl status smackd", at->host));
}

}  // namespace smackd::cmd
