// Many agents in one process: each with its own node id and certificate, real TLS, heartbeats, its feed, and
// the redialling of cmd/smackd/node/agent_node.cc; only the copy is in memory.
//
//     agents --dir DIRECTORY --server HOST:PORT... [--count N] [--first K] [--steady N]
//
// DIRECTORY is that of node 1 of the cluster: its CA makes the certificates, and it proposes the registry
// rows. With --first K the agents dial the K-th server first (from 1), but for the first N (--steady), which
// stay at the one after it. Commands on standard input, one a line; each is answered by one line of JSON:
//
//     stats             figures since the last reset
//     reset             begins anew
//     fanout N MS       N changes, one each MS milliseconds; delays from commit and from sending to every
//     agent
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <format>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "cmd/smackd/data_directory.h"
#include "cmd/smackd/node/agent_node.h"
#include "cmd/smackd/node/state_copy.h"
#include "cmd/smackd/node_keys.h"
#include "core/json.h"
#include "core/redial.h"
#include "core/wire/agent.pb.h"
#include "core/wire/command.pb.h"
#include "core/wire/join.pb.h"
#include "net/crypto/key.h"
#include "net/rpc/peer_transport.h"
#include "net/rpc/rpc.h"
#include "net/scope.h"
#include "net/socket.h"
#include "net/system_clock.h"
#include "net/system_random.h"
#include "net/tls/tls.h"

namespace smackd {
namespace {

using core::Result;
using net::Task;

constexpr uint64_t kFirstNode = 1001;
constexpr int kNodesPerCommand = 100;
constexpr core::Duration kDialLimit = core::seconds(5);
constexpr size_t kHandshakesMax = 4096;  // this process is not what is measured
constexpr const char* kFanoutMachine = "fanout";

struct Options {
    std::string directory;
    std::vector<std::string> servers;
    uint64_t count = 500;
    uint64_t first = 0;
    uint64_t steady = 0;
};

[[noreturn]] void die(const std::string& text) {
    std::fprintf(stderr, "agents: %s\n", text.c_str());
    std::_Exit(2);
}

double ms(core::Duration duration) {
    return static_cast<double>(duration.count()) / 1e6;
}

/// The value at a share of all; 0 of none.
double at_share(std::vector<double>& values, double share) {
    if (values.empty()) return 0;
    std::ranges::sort(values);
    return values[std::min(values.size() - 1,
                           static_cast<size_t>(static_cast<double>(values.size()) * share))];
}

struct Stats {
    core::Instant since;
    std::vector<double> heartbeats_ms;  ///< round trips
    double steady_gap_ms = 0;           ///< longest time between two answers to an agent whose stream stayed
    double gap_ms = 0;                  ///< the same of all
    uint64_t lost = 0;
    uint64_t failed_dials = 0;
    uint64_t snapshots = 0;
    double all_connected_ms = -1;
    std::map<std::string, uint64_t> reasons;
};

class Agents {
 public:
    Agents(Options options, cmd::ClusterSecrets secrets)
        : options_(std::move(options)),
          secrets_(std::move(secrets)),
          cluster_id_(secrets_.ca.cluster_id()),
          workers_("worker", 2, 4096),
          engine_(loop_, workers_, kHandshakesMax),
          scope_(loop_) {}

    void run();

 private:
    struct Agent {
        core::NodeId id;
        std::shared_ptr<const net::TlsConfig> tls;
        core::Revision place;
        core::Instant last_answer;
        bool connected = false;
        bool steady = false;
    };
    struct Change {
        core::Instant sent;
        core::Instant committed;
        std::vector<core::Instant> arrived;
    };
    std::shared_ptr<const net::TlsConfig> config_of(uint64_t node, const std::string& machine);
    Task<Result<std::unique_ptr<net::rpc::RpcClient>>> dial(const std::string& address, core::NodeId self,
                                                            std::shared_ptr<const net::TlsConfig> tls);
    Task<Result<void>> register_all();
    Task<Result<wire::CommandResult>> propose(wire::Command command);
    Task<void> live(Agent& agent);
    Task<Result<void>> follow(Agent& agent, const std::string& server);
    Task<void> read_feed(Agent& agent, net::rpc::RpcClient& client);
    void arrived(const wire::AgentFeedItem& item);
    void answered(Agent& agent, core::Instant sent);
    void count_connected(Agent& agent, bool connected);
    Task<void> fanout(int changes, core::Duration every);
    Task<void> begin();
    void command(const std::string& line);
    void print_stats();
    void reset();

    Options options_;
    cmd::ClusterSecrets secrets_;
    std::string cluster_id_;
    net::SystemClock clock_;
    net::SystemRandom random_;
    net::Loop loop_{"agents"};
    net::WorkerPool workers_;
    net::TlsEngine engine_;
    net::Scope scope_;
    std::vector<std::unique_ptr<Agent>> agents_;
    size_t connected_ = 0;
    Stats stats_;
    std::map<std::string, Change> changes_;  // by the value that was put
    std::unique_ptr<net::rpc::RpcClient> proposer_;
};

template <class T>
T must(Result<T> result, const char* what) {
    if (!result) die(std::format("{}: {}", what, result.error().message));
    return std::move(*result);
}

std::shared_ptr<const net::TlsConfig> Agents::config_of(uint64_t node, const std::string& machine) {
    static const net::crypto::KeyPair key = must(net::crypto::KeyPair::generate(), "key");
    auth::NodeCertificateRequest request;
    request.node = core::NodeId{node};
    request.machine = machine;
    request.public_key_pem = key.public_key().to_pem();
    net::TlsClientOptions tls;
    tls.ca_pem = secrets_.ca.certificate_pem();
    tls.certificate_pem = must(secrets_.ca.issue_node(request, clock_.wall()), "certificate").pem;
    tls.key_pem = key.to_pem();
    tls.alpn = {std::string(net::rpc::kPeerAlpn)};
    tls.versions = net::TlsVersions::kOnly13;
    return must(net::TlsConfig::client(std::move(tls)), "TLS");
}

Task<Result<std::unique_ptr<net::rpc::RpcClient>>> Agents::dial(const std::string& address, core::NodeId self,
                                                                std::shared_ptr<const net::TlsConfig> tls) {
    CO_TRY_ASSIGN(net::HostPort at, net::parse_host_port(address));
    CO_TRY_ASSIGN(auto raw, co_await net::connect_host(loop_, std::move(at), kDialLimit));
    CO_TRY_ASSIGN(auto stream, co_await engine_.connect(std::move(raw), std::move(tls), ""));
    net::rpc::Hello hello;
    hello.software = "agents";
    hello.node = self;
    net::rpc::RpcLimits limits;
    limits.stream_credit = cmd::kAgentStreamCredit;
    co_return co_await net::rpc::RpcClient::connect(loop_, std::move(stream), std::move(hello), limits);
}

// Whoever leads takes it.
Task<Result<wire::CommandResult>> Agents::propose(wire::Command command) {
    command.set_feature_level(2);
    command.mutable_actor()->set_kind(wire::Actor::SYSTEM);
    command.mutable_actor()->set_principal("smackd");
    command.mutable_actor()->set_door("test");
    const core::Bytes bytes = command.SerializeAsString();
    auto tls = config_of(1, "n1");
    for (int i = 0; i < 50; ++i) {
        if (!proposer_) {
            auto dialled = co_await dial(options_.servers[static_cast<size_t>(i) % options_.servers.size()],
                                         core::NodeId{1}, tls);
            if (dialled) proposer_ = std::move(*dialled);
        }
        if (proposer_) {
            auto answer = co_await proposer_->call("propose", bytes, core::seconds(10));
            wire::CommandResult result;
            if (answer && result.ParseFromString(*answer)) co_return result;
            co_await proposer_->close();
            proposer_.reset();
        }
        CO_TRY(co_await net::sleep(loop_, core::milliseconds(50)));
    }
    co_return core::fail(core::Errc::kUnavailable, "no server takes commands");
}

Task<Result<void>> Agents::register_all() {
    wire::Command command;
    for (uint64_t i = 0; i < options_.count; ++i) {
        const std::string machine = std::format("agent{}", i + 1);
        wire::PutMachine& put = *command.add_changes()->mutable_put_machine();
        put.set_name(machine);
        put.add_roles("agent");
        put.set_state(wire::MACHINE_ALLOWED);
        wire::PutNode& node = *command.add_changes()->mutable_put_node();
        node.set_node_id(kFirstNode + i);
        node.set_machine(machine);
        node.set_address("127.0.0.1:1");
        node.add_roles("agent");
        if (command.changes_size() < 2 * kNodesPerCommand && i + 1 < options_.count) continue;
        CO_TRY_ASSIGN(const wire::CommandResult result, co_await propose(std::exchange(command, {})));
        if (result.code() != 0) co_return core::fail(core::Errc::kInvalid, "{}", result.message());
    }
    co_return Result<void>();
}

Task<void> Agents::live(Agent& agent) {
    core::Redial redial(agent.id);
    const size_t servers = options_.servers.size();
    bool first = options_.first != 0;
    while (!scope_.cancelled()) {
        size_t at = first ? options_.first - 1 : redial.server(servers);
        if (agent.steady) at = options_.first % servers;  // not the one that will die
        first = false;
        const core::Instant began = clock_.now();
        auto ended = co_await follow(agent, options_.servers[at]);
        if (agent.connected) agent.steady = false;
        if (!ended) ++stats_.reasons[ended.error().message.substr(0, 80)];
        if (agent.connected) ++stats_.lost;
        if (!agent.connected) ++stats_.failed_dials;
        count_connected(agent, false);
        auto slept = co_await net::sleep(
            loop_, redial.ended(clock_.now() - began, static_cast<double>(random_.below(1000)) / 1000));
        if (!slept) co_return;
    }
}

Task<Result<void>> Agents::follow(Agent& agent, const std::string& server) {
    CO_TRY_ASSIGN(auto client, co_await dial(server, agent.id, agent.tls));
    net::Scope work(loop_);
    work.spawn(read_feed(agent, *client));
    Result<void> going;
    for (uint64_t sequence = 1; going; ++sequence) {
        wire::Heartbeat heartbeat;
        heartbeat.set_sequence(sequence);
        const core::Instant sent = clock_.now();
        auto answer = co_await client->call("heartbeat", heartbeat.SerializeAsString(), cmd::kHeartbeatLimit);
        if (!answer) {
            going = core::pass(std::move(answer));
            break;
        }
        answered(agent, sent);
        if (sequence == 1) count_connected(agent, true);
        going = co_await net::sleep(loop_, cmd::kHeartbeat);
    }
    co_await client->close();
    co_await work.close();
    co_return going;
}

void Agents::answered(Agent& agent, core::Instant sent) {
    const core::Instant now = clock_.now();
    stats_.heartbeats_ms.push_back(ms(now - sent));
    const core::Instant before = std::max(agent.last_answer, stats_.since);
    if (agent.last_answer != core::Instant{}) {
        stats_.gap_ms = std::max(stats_.gap_ms, ms(now - before));
        if (agent.steady) stats_.steady_gap_ms = std::max(stats_.steady_gap_ms, ms(now - before));
    }
    agent.last_answer = now;
}

void Agents::count_connected(Agent& agent, bool connected) {
    if (agent.connected == connected) return;
    agent.connected = connected;
    connected_ += connected ? 1 : static_cast<size_t>(-1);
    if (connected_ < agents_.size()) return;
    stats_.all_connected_ms = ms(clock_.now() - stats_.since);
    std::cout << std::format("all connected after {:.0f} ms\n", stats_.all_connected_ms) << std::flush;
}

Task<void> Agents::read_feed(Agent& agent, net::rpc::RpcClient& client) {
    wire::AgentFeedRequest request;
    request.set_epoch(agent.place.epoch);
    request.set_revision(agent.place.number);
    auto items = co_await client.open("feed", request.SerializeAsString());
    if (!items) co_return;
    while (true) {
        auto bytes = co_await (*items)->next();
        if (!bytes || !*bytes) co_return;
        wire::AgentFeedItem item;
        if (!item.ParseFromString(**bytes)) die("an item of the feed is none");
        if (item.snapshot()) ++stats_.snapshots;
        if (!item.more()) agent.place = {item.epoch(), item.revision()};
        if (!changes_.empty()) arrived(item);
    }
}

void Agents::arrived(const wire::AgentFeedItem& item) {
    for (const wire::AgentRow& row : item.rows()) {
        if (row.kind() != "machine" || row.key() != kFanoutMachine) continue;
        wire::PutMachine put;
        if (!put.ParseFromString(row.row())) continue;
        const auto found = changes_.find(put.attributes().at("value"));
        if (found != changes_.end()) found->second.arrived.push_back(clock_.now());
    }
}

Task<void> Agents::fanout(int count, core::Duration every) {
    changes_.clear();
    for (int i = 0; i < count; ++i) {
        const std::string value = std::to_string(i);
        changes_[value].sent = clock_.now();
        wire::Command command;
        wire::PutMachine& put = *command.add_changes()->mutable_put_machine();
        put.set_name(kFanoutMachine);
        put.add_roles("agent");
        put.set_state(wire::MACHINE_ALLOWED);
        (*put.mutable_attributes())["value"] = value;
        auto result = co_await propose(std::move(command));
        if (!result || result->code() != 0) die("a change was refused");
        changes_[value].committed = clock_.now();
        static_cast<void>(co_await net::sleep(loop_, every));
    }
    static_cast<void>(co_await net::sleep(loop_, core::seconds(2)));
    std::vector<double> from_commit;
    std::vector<double> from_sending;
    for (const auto& [value, change] : changes_) {
        for (const core::Instant at : change.arrived) {
            from_commit.push_back(std::max(0.0, ms(at - change.committed)));
            from_sending.push_back(ms(at - change.sent));
        }
    }
    changes_.clear();
    std::cout << std::format(
                     R"({{"arrived": {}, "expected": {}, "commit_p50_ms": {:.2f}, "commit_p99_ms": {:.2f}, )"
                     R"("sending_p50_ms": {:.2f}, "sending_p99_ms": {:.2f}}})",
                     from_commit.size(), static_cast<size_t>(count) * agents_.size(),
                     at_share(from_commit, 0.5), at_share(from_commit, 0.99), at_share(from_sending, 0.5),
                     at_share(from_sending, 0.99))
              << std::endl;
}

void Agents::print_stats() {
    core::Json reasons = core::Json::object();
    for (const auto& [why, times] : stats_.reasons) reasons.set(why, static_cast<int64_t>(times));
    std::cout
        << std::format(
               R"({{"connected": {}, "agents": {}, "seconds": {:.1f}, "heartbeats": {}, "heartbeat_p50_ms": {:.2f}, )"
               R"("heartbeat_p99_ms": {:.2f}, "heartbeat_max_ms": {:.1f}, "steady_gap_ms": {:.0f}, "gap_ms": {:.0f}, )"
               R"("lost": {}, "failed_dials": {}, "snapshots": {}, "all_connected_ms": {:.0f}, "reasons": {}}})",
               connected_, agents_.size(), ms(clock_.now() - stats_.since) / 1000,
               stats_.heartbeats_ms.size(), at_share(stats_.heartbeats_ms, 0.5),
               at_share(stats_.heartbeats_ms, 0.99), at_share(stats_.heartbeats_ms, 1), stats_.steady_gap_ms,
               stats_.gap_ms, stats_.lost, stats_.failed_dials, stats_.snapshots, stats_.all_connected_ms,
               reasons.dump())
        << std::endl;
}

void Agents::reset() {
    stats_ = {};
    stats_.since = clock_.now();
}

void Agents::command(const std::string& line) {
    int changes = 0;
    int every = 0;
    if (line == "stats") {
        print_stats();
    } else if (line == "reset") {
        reset();
        std::cout << "{}" << std::endl;
    } else if (std::sscanf(line.c_str(), "fanout %d %d", &changes, &every) == 2) {
        scope_.spawn(fanout(changes, core::milliseconds(every)));
    } else {
        die("no such command: " + line);
    }
}

Task<void> Agents::begin() {
    auto registered = co_await register_all();
    if (!registered) die(registered.error().message);
    for (uint64_t i = 0; i < options_.count; ++i) {
        auto agent = std::make_unique<Agent>();
        agent->id = core::NodeId{kFirstNode + i};
        agent->tls = config_of(agent->id.value, std::format("agent{}", i + 1));
        agent->steady = i < options_.steady;
        agents_.push_back(std::move(agent));
    }
    std::cout << "registered" << std::endl;
    reset();
    for (const auto& agent : agents_) scope_.spawn(live(*agent));
}

void Agents::run() {
    std::thread([this] {
        std::string line;
        while (std::getline(std::cin, line)) loop_.post([this, line] { command(line); });
        std::_Exit(0);  // whoever drives it is gone
    }).detach();
    loop_.post([this] { scope_.spawn(begin()); });
    loop_.run();
}

}  // namespace
}  // namespace smackd

int main(int argc, char** argv) {
    smackd::Options options;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string name = argv[i];
        const std::string value = argv[i + 1];
        if (name == "--dir") options.directory = value;
        if (name == "--server") options.servers.push_back(value);
        if (name == "--count") options.count = std::strtoull(value.c_str(), nullptr, 10);
        if (name == "--first") options.first = std::strtoull(value.c_str(), nullptr, 10);
        if (name == "--steady") options.steady = std::strtoull(value.c_str(), nullptr, 10);
    }
    if (options.directory.empty() || options.servers.empty() || options.first > options.servers.size())
        smackd::die(
            "usage: agents --dir DIRECTORY --server HOST:PORT... [--count N] [--first K] [--steady N]");
    auto secrets = smackd::cmd::read_cluster_secrets(smackd::cmd::DataDirectory(options.directory));
    if (!secrets) smackd::die(secrets.error().message);
    smackd::Agents(std::move(options), std::move(*secrets)).run();
}
