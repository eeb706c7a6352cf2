#include "cmd/smackd/node/agent_node.h"

#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "auth/kdc_process.h"
#include "auth/server_check.h"
#include "cmd/smackd/bootstrap.h"
#include "cmd/smackd/join.h"
#include "cmd/smackd/node/agent_apps.h"
#include "cmd/smackd/node/foreign_wait.h"
#include "cmd/smackd/node/liveness.h"
#include "cmd/smackd/node/loop_thread.h"
#include "cmd/smackd/signals.h"
#include "cmd/smackd/version.h"
#include "core/redial.h"
#include "core/wire/orders.pb.h"
#include "net/crypto/hash.h"
#include "net/posix_disk.h"
#include "net/rpc/peer_transport.h"
#include "net/rpc/rpc.h"
#include "net/socket.h"
#include "net/system_clock.h"
#include "net/system_random.h"
#include "net/tls/tls.h"

namespace smackd::cmd {
namespace {

using core::Errc;
using core::Result;

inline constexpr core::Duration kDialLimit = core::seconds(5);
inline constexpr core::Duration kReadyStep = core::milliseconds(50);
inline constexpr core::Duration kReportLimit = core::seconds(15);
inline constexpr size_t kWorkers = 4;
inline constexpr size_t kWorkerQueueMax = 1024;

class AgentNode final : public Node {
 public:
    explicit AgentNode(NodeOptions options)
        : options_(std::move(options)),
          directory_(options_.config.data_dir),
          logger_(options_.log, "agent") {}
    ~AgentNode() override { stop(); }

    Result<void> begin();
    Result<void> wait_ready() override;
    void stop() override;
    const NodeIdentity& identity() const override { return identity_; }
    std::optional<core::Error> removed() const override {
        std::lock_guard lock(mutex_);
        return removed_;
    }

 private:
    net::Task<void> run();
    void stop_removed(const core::Error& why);
    net::Task<Result<void>> follow(auth::AdmittedNode server);
    net::Task<Result<std::unique_ptr<net::rpc::RpcClient>>> dial(auth::AdmittedNode server);
    void connected(const auth::AdmittedNode& server, const wire::HeartbeatAnswer& answer);
    bool reachable() const { return !options_.config.gossip_by_stream && !identity_.address.empty(); }
    void take_keys(const wire::HeartbeatAnswer& answer);
    void start_gossip(const wire::GossipKeys& keys, uint64_t epoch);
    Liveness::Hooks gossip_hooks();
    net::Task<void> read_gossip(net::rpc::RpcClient& client, core::NodeId server);
    net::Task<void> sync_with_server();
    net::Task<void> read_orders(net::rpc::RpcClient& client);
    void take_order(core::Bytes order);
    net::Task<void> learn(std::string servers, std::string near);
    void renew_while_running();
    void renew_when_due();
    void give_up(const core::Error& why);
    Result<void> open_copy();
    void state_changed(const StateChange& change);
    void tell_allowed();
    void start_apps();
    /// `call` is a literal.
    void ask(std::string_view call, core::Bytes request, core::Callback<void(Result<core::Bytes>)> done);
    Result<void> check_peer(const auth::DialledServer& server) const;

    NodeOptions options_;
    DataDirectory directory_;
    core::Logger logger_;
    NodeIdentity identity_;
    std::optional<DirectoryLock> lock_;
    net::SystemClock clock_;
    net::SystemRandom random_;
    net::PosixDisk disk_;
    std::unique_ptr<storage::sqlite::Vfs> vfs_;
    std::unique_ptr<net::WorkerPool> workers_;
    std::unique_ptr<LoopThread> thread_;
    std::unique_ptr<net::TlsEngine> engine_;
    std::unique_ptr<StateCopy> copy_;
    std::unique_ptr<net::Scope> scope_;
    std::shared_ptr<Liveness> liveness_;
    std::unique_ptr<AgentApps> apps_;
    std::atomic<AgentApps*> running_apps_ = nullptr;  ///< for the loop
    core::Instant gossip_again_;                      ///< after a failure
    net::rpc::RpcClient* client_ = nullptr;  // of the stream that is up, whose server is the next; loop only
    core::NodeId server_;
    uint64_t generation_ = 0;             // of the certificate of the server dialled last
    bool lenient_ = false;                // no server answered in a whole round
    net::Scope* stream_scope_ = nullptr;  // of work over that stream
    core::Bytes servers_sha256_;          // of the list of servers that is on disk; empty: not known
    core::Instant learn_after_;           // no sooner is a list tried again that could not be written
    std::thread renewal_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    bool ready_ = false;                  // guarded by mutex_, as are the three below
    std::optional<core::Error> refused_;  // while no server was reached yet
    std::optional<core::Error> removed_;  // why
    bool stopping_ = false;
    bool has_copy_ = false;  // since the start
    bool stopped_ = false;
};

Result<void> AgentNode::begin() {
    ::umask(0077);
    TRY_ASSIGN(identity_, read_identity(directory_));
    TRY(directory_.make());
    TRY_ASSIGN(DirectoryLock lock, DirectoryLock::take(directory_));
    lock_.emplace(std::move(lock));
    const std::string krb5_conf = client_krb5_conf_path(directory_);
    if (::access(krb5_conf.c_str(), R_OK) == 0) auth::set_kerberos_environment(krb5_conf);
    TRY(read_node_identity(directory_));
    workers_ = std::make_unique<net::WorkerPool>("worker", kWorkers, kWorkerQueueMax);
    thread_ = std::make_unique<LoopThread>("agent", logger_);
    engine_ = std::make_unique<net::TlsEngine>(thread_->loop(), *workers_);
    scope_ = std::make_unique<net::Scope>(thread_->loop());
    thread_->start();
    TRY(open_copy());
    start_apps();
    thread_->loop().post([this] { scope_->spawn(run()); }, "agent");
    renewal_ = std::thread([this] { renew_while_running(); });
    return {};
}

void AgentNode::stop_removed(const core::Error& why) {
    logger_.error("this node was removed from the cluster; it stops", {{"why", why.message}});
    std::lock_guard lock(mutex_);
    removed_ = why;
    send_stop_signal();
    changed_.notify_all();
}

// ---- the copy of the state: who may speak is known from it, also with all servers away

Result<void> AgentNode::open_copy() {
    vfs_ = storage::sqlite::Vfs::over_unix();
    TRY_ASSIGN(copy_, StateCopy::open({thread_->loop(),
                                       *workers_,
                                       disk_,
                                       *vfs_,
                                       agent_database_path(directory_.path()),
                                       {identity_.cluster_id, core::NodeId{identity_.node_id}},
                                       logger_.named("feed")}));
    has_copy_ = copy_->registry() != nullptr;
    copy_->on_change([this](const StateChange& change) { state_changed(change); });
    logger_.info("state", {{"revision", copy_->position().to_string()}});
    return {};
}

void AgentNode::state_changed(const StateChange& change) {
    if (change.everything) logger_.info("state", {{"revision", change.position.to_string()}});
    if (change.touches("machine") || change.touches("node")) tell_allowed();
    if (AgentApps* apps = running_apps_.load()) apps->changed(change);
}

// ---- tasks of applications

void AgentNode::start_apps() {
    AgentApps::Environment environment{
        disk_,
        clock_,
        *workers_,
        *vfs_,
        agent_database_path(directory_.path()),
        logger_.named("apps"),
        [this](core::Bytes command, auto done) { ask("report", std::move(command), std::move(done)); },
        [this](auto done) { ask("tasks.own", {}, std::move(done)); },
        [this](core::Bytes request, auto done) {
            ask("edge.certificates", std::move(request), std::move(done));
        },
        [this](std::string_view call, core::Bytes request, auto done) {
            ask(call, std::move(request), std::move(done));
        }};
    apps_ = std::make_unique<AgentApps>(local_tasks_options(options_, identity_), std::move(environment));
    running_apps_ = apps_.get();
}

void AgentNode::ask(std::string_view call, core::Bytes request,
                    core::Callback<void(Result<core::Bytes>)> done) {
    thread_->loop().post(
        [this, call, request = std::move(request), done = std::move(done)]() mutable {
            if (client_ == nullptr) return done(core::fail(Errc::kUnavailable, "no server is connected"));
            stream_scope_->spawn([](net::rpc::RpcClient& client, std::string_view name, core::Bytes asked,
                                    core::Callback<void(Result<core::Bytes>)> tell) -> net::Task<void> {
                auto answer = co_await client.call(std::string(name), std::move(asked), kReportLimit);
                tell(std::move(answer));
            }(*client_, call, std::move(request), std::move(done)));
        },
        "ask");
}

void AgentNode::tell_allowed() {
    const auto registry = copy_->registry();
    if (!registry || !liveness_) return;
    std::unordered_map<core::NodeId, uint64_t> generations;
    for (const wire::PutNode& node : registry->nodes()) {
        const core::NodeId id{node.node_id()};
        if (registry->check(id)) generations[id] = node.generation();
    }
    liveness_->set_allowed(std::move(generations));
}

Result<void> AgentNode::check_peer(const auth::DialledServer& server) const {
    const auto registry = copy_->registry();
    if (!registry) return {};
    auto checked = auth::check_server(*registry, server, lenient_);
    if (checked) return {};
    // Not the server's word about this node, as kDenied would be.
    return core::fail(Errc::kUnavailable, "refused by this node: {}", checked.error().message);
}

// One server after another; a good one is kept until it fails.
net::Task<void> AgentNode::run() {
    core::Redial redial(core::NodeId{identity_.node_id});
    while (true) {
        core::Duration pause = core::seconds(1);  // while no server is known
        // Read anew: a renewal may have told of others.
        const std::vector<auth::AdmittedNode> servers = read_join_members(directory_);
        if (!servers.empty()) {
            const auth::AdmittedNode& server = servers[redial.server(servers.size())];
            core::Instant began = clock_.now();
            auto ended = co_await follow(server);
            if (scope_->cancelled()) co_return;
            const bool denied = !ended && ended.error().code == Errc::kDenied;
            pause = redial.ended(clock_.now() - began, static_cast<double>(random_.below(1000)) / 1000);
            lenient_ = redial.failures() >= servers.size();
            logger_.warning(
                denied ? "refused by a server" : "lost a server",
                {{"server", server.machine}, {"address", server.address}, {"why", ended.error().message}});
            if (denied && auth::is_removal(ended.error(), core::NodeId{identity_.node_id})) {
                stop_removed(ended.error());
                co_return;
            }
            if (denied && !auth::is_not_known_yet(ended.error())) {
                std::lock_guard lock(mutex_);
                refused_ = ended.error();
                changed_.notify_all();
            }
        }
        auto slept = co_await net::sleep(thread_->loop(), pause);
        if (!slept) co_return;
    }
}

net::Task<Result<std::unique_ptr<net::rpc::RpcClient>>> AgentNode::dial(auth::AdmittedNode server) {
    net::Loop& loop = thread_->loop();
    CO_TRY_ASSIGN(TlsIdentity own, read_node_identity(directory_));
    if (clock_.wall().unix_ms >= own.not_after_ms)
        co_return core::fail(Errc::kUnavailable, "this node's certificate has expired; the keytab renews it");
    net::TlsClientOptions tls;
    CO_TRY_ASSIGN(tls.ca_pem, read_ca(directory_));
    tls.certificate_pem = own.certificate_pem;
    tls.key_pem = own.key_pem;
    tls.alpn = {std::string(net::rpc::kPeerAlpn)};
    tls.versions = net::TlsVersions::kOnly13;
    CO_TRY_ASSIGN(auto config, net::TlsConfig::client(std::move(tls)));
    CO_TRY_ASSIGN(net::HostPort at, net::parse_host_port(server.address));
    CO_TRY_ASSIGN(auto raw, co_await net::connect_host(loop, std::move(at), kDialLimit));
    CO_TRY_ASSIGN(auto stream, co_await engine_->connect(std::move(raw), std::move(config), ""));
    auto node = net::rpc::node_of_certificate(*stream->tls()->peer_certificate(), identity_.cluster_id);
    if (!node || *node != server.id) {
        co_await stream->close();
        co_return core::fail(Errc::kDenied, "{} is not node {}", server.address, server.id.value);
    }
    auto fit = auth::generation_of_certificate(*stream->tls()->peer_certificate(), identity_.cluster_id)
                   .and_then([&](uint64_t generation) {
                       generation_ = generation;
                       return check_peer({server.id, generation});
                   });
    if (!fit) {
        co_await stream->close();
        co_return core::pass(std::move(fit));
    }
    net::rpc::Hello hello;
    hello.software = std::string(kVersion);
    hello.node = core::NodeId{identity_.node_id};
    net::rpc::RpcLimits limits;
    limits.stream_credit = kAgentStreamCredit;
    co_return co_await net::rpc::RpcClient::connect(loop, std::move(stream), std::move(hello), limits);
}

net::Task<Result<void>> AgentNode::follow(auth::AdmittedNode server) {
    CO_TRY_ASSIGN(auto client, co_await dial(server));
    net::Scope work(thread_->loop());
    client_ = client.get();
    server_ = server.id;
    stream_scope_ = &work;
    work.spawn(read_gossip(*client, server.id));
    work.spawn(read_orders(*client));
    work.spawn(copy_->follow(*client));
    Result<void> going;
    for (uint64_t sequence = 1; going; ++sequence) {
        wire::Heartbeat heartbeat;
        heartbeat.set_sequence(sequence);
        heartbeat.set_epoch(identity_.epoch);
        heartbeat.set_gossip_keys_version(liveness_ ? liveness_->keys_version() : 0);
        heartbeat.set_servers_sha256(servers_sha256_);
        auto answered = co_await client->call("heartbeat", heartbeat.SerializeAsString(), kHeartbeatLimit);
        if (!answered) {
            going = core::pass(std::move(answered));
            break;
        }
        wire::HeartbeatAnswer answer;
        if (!answer.ParseFromString(*answered)) {
            going = core::fail(Errc::kInvalid, "the server's heartbeat answer is none");
            break;
        }
        if (sequence == 1) connected(server, answer);
        take_keys(answer);
        if (AgentApps* apps = running_apps_.load()) apps->set_leader(core::NodeId{answer.leader()});
        if (!answer.servers().empty() && clock_.now() >= learn_after_)
            co_await learn(answer.servers(), server.address);
        going = co_await net::sleep(thread_->loop(), kHeartbeat);
        if (going && copy_->unfit())
            going = core::fail(Errc::kUnavailable, "its feed does not fit: {}", copy_->unfit()->message);
        if (going) going = check_peer({server.id, generation_});
    }
    client_ = nullptr;
    stream_scope_ = nullptr;
    co_await work.close();
    co_await client->close();
    co_return going;
}

// ---- gossip: by UDP where others reach this node, and over the stream

void AgentNode::take_keys(const wire::HeartbeatAnswer& answer) {
    if (answer.gossip_keys().empty()) return;
    wire::GossipKeys keys;
    if (!keys.ParseFromString(answer.gossip_keys()))
        return logger_.error("the server's gossip keys are none");
    if (liveness_) return liveness_->set_keys(std::move(keys), answer.epoch());
    if (clock_.now() < gossip_again_) return;
    start_gossip(keys, answer.epoch());
}

void AgentNode::start_gossip(const wire::GossipKeys& keys, uint64_t epoch) {
    LivenessOptions options;
    options.self.id = core::NodeId{identity_.node_id};
    options.self.generation = identity_.generation;
    options.self.name = identity_.name;
    if (reachable()) options.self.addresses = {identity_.address};
    options.cluster_id = identity_.cluster_id;
    options.epoch = epoch;
    options.keys = keys;
    if (auto known = read_small_file(directory_.known_members())) options.known_members = std::move(*known);
    options.bind = options_.config.cluster_address;
    auto started = Liveness::start(std::move(options), gossip_hooks(), logger_.named("gossip"));
    if (!started) {
        gossip_again_ = clock_.now() + kGossipRetry;
        return logger_.error("alarm gossip", {{"what", started.error().message},
                                              {"address", options_.config.cluster_address}});
    }
    liveness_ = std::move(*started);
    tell_allowed();
    if (!reachable()) return liveness_->set_holder(server_);
    std::vector<std::string> seeds;
    for (const auth::AdmittedNode& server : read_join_members(directory_)) seeds.push_back(server.address);
    liveness_->join(std::move(seeds));
}

Liveness::Hooks AgentNode::gossip_hooks() {
    net::Loop& loop = thread_->loop();
    Liveness::Hooks hooks;
    // An agent has one stream: whoever is wanted, its server has the news.
    hooks.stream_wanted = [this, &loop](const core::gossip::StreamWanted&) {
        loop.post(
            [this] {
                if (stream_scope_ != nullptr) stream_scope_->spawn(sync_with_server());
            },
            "gossip");
    };
    hooks.stream_packet = [this, &loop](core::NodeId to, const core::Bytes& packet) {
        loop.post(
            [this, to, packet] {
                if (client_ != nullptr && server_ == to) static_cast<void>(client_->notify("gossip", packet));
            },
            "gossip");
    };
    hooks.refused = [](const std::string&, const core::Error&) {};  // logged there
    hooks.known_members = keep_known_members(*workers_, directory_.known_members(), logger_);
    return hooks;
}

net::Task<void> AgentNode::read_gossip(net::rpc::RpcClient& client, core::NodeId server) {
    auto packets = co_await client.open("gossip", {});
    while (packets) {
        auto packet = co_await (*packets)->next();
        if (!packet || !*packet) co_return;
        if (liveness_) liveness_->stream_packet(server, std::move(**packet));
    }
}

// A server of an older version has none.
net::Task<void> AgentNode::read_orders(net::rpc::RpcClient& client) {
    auto orders = co_await client.open("orders", {});
    while (orders) {
        auto order = co_await (*orders)->next();
        if (!order || !*order) co_return;
        take_order(std::move(**order));
    }
}

void AgentNode::take_order(core::Bytes bytes) {
    wire::NodeOrder order;
    AgentApps* apps = running_apps_.load();
    if (apps == nullptr || !order.ParseFromString(bytes)) return;
    auto done = [this, id = order.id()](Result<core::Bytes> result) {
        wire::NodeAnswer answer;
        answer.set_id(id);
        if (result) answer.set_body(std::move(*result));
        if (!result) answer.set_code(static_cast<uint32_t>(result.error().code));
        if (!result) answer.set_message(result.error().message);
        ask("order.answer", answer.SerializeAsString(), [](const Result<core::Bytes>&) {});
    };
    apps->order(order.method(), order.request(), std::move(done));
}

net::Task<void> AgentNode::sync_with_server() {
    net::rpc::RpcClient& client = *client_;
    const core::NodeId server = server_;
    net::Loop& loop = thread_->loop();
    std::shared_ptr<Liveness> liveness = liveness_;
    auto request = co_await await_foreign<core::Bytes>(
        loop, [&](auto done) { liveness->sync_request(std::move(done)); });
    if (!request) co_return;
    auto reply = co_await client.call("gossip.sync", std::move(*request), kHeartbeatLimit);
    if (!reply) co_return;
    liveness->heard(server, true);
    auto push = co_await await_foreign<std::optional<core::Bytes>>(
        loop, [&](auto done) { liveness->sync_reply(server, std::move(*reply), std::move(done)); });
    if (push && *push)
        static_cast<void>(co_await client.call("gossip.sync", std::move(**push), kHeartbeatLimit));
}

void AgentNode::connected(const auth::AdmittedNode& server, const wire::HeartbeatAnswer& answer) {
    logger_.info("connected",
                 {{"server", server.machine}, {"address", server.address}, {"epoch", answer.epoch()}});
    if (liveness_ && !reachable()) liveness_->set_holder(server.id);
    std::lock_guard lock(mutex_);
    ready_ = true;
    changed_.notify_all();
}

// Servers come and go while an agent runs: without this it would know those of its last renewal alone.
net::Task<void> AgentNode::learn(std::string servers, std::string near) {
    auto written =
        co_await workers_->run<size_t>(thread_->loop(), [this, &servers, &near]() -> Result<size_t> {
            wire::ServerList list;
            if (!list.ParseFromString(servers) || list.members().empty())
                return core::fail(Errc::kInvalid, "the server's list of servers is none");
            TRY(write_servers(directory_, list, identity_.realm, near));
            return static_cast<size_t>(list.members_size());
        });
    if (!written) {
        logger_.warning("list of servers not kept", {{"why", written.error().message}});
        learn_after_ = clock_.now() + core::kRedialMax;
        co_return;
    }
    servers_sha256_ = net::crypto::sha256(servers);
    logger_.info("servers", {{"count", *written}});
}

// libkrb5 waits for a silent KDC as long as it likes: never on a loop.
void AgentNode::renew_while_running() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        lock.unlock();
        renew_when_due();
        lock.lock();
        changed_.wait_for(lock, kRenewalCheck, [this] { return stopping_; });
    }
}

void AgentNode::renew_when_due() {
    auto current = read_node_identity(directory_);
    if (!current) return logger_.error("alarm certificate", {{"what", current.error().message}});
    const auto decision =
        auth::decide_renewal(current->not_before_ms, current->not_after_ms, clock_.wall(), 0);
    if (decision.action == auth::RenewalDecision::Action::kNone) return;
    auto renewed = renew_certificate(directory_, std::string(kVersion));
    if (!renewed) {
        logger_.error("alarm certificate not renewed", {{"what", renewed.error().message}});
        // One that is not valid yet by this clock may be by the servers'.
        if (clock_.wall().unix_ms >= current->not_after_ms) give_up(renewed.error());
        return;
    }
    logger_.info("certificate renewed", {{"proved", renewed->proved}});
    if (renewed->proved) return;
    logger_.error(
        "alarm no Kerberos proof",
        {{"what", renewed->kdc_error}, {"then", "the cluster renews without one for 72 hours at most"}});
}

// What does not pass by itself, somebody must hear of while they start this node.
void AgentNode::give_up(const core::Error& why) {
    if (why.code == Errc::kUnavailable || why.code == Errc::kTimeout || why.code == Errc::kBusy) return;
    std::lock_guard lock(mutex_);
    refused_ =
        core::Error{why.code,
                    "the certificate has expired, and the keytab does not get another one: " + why.message +
                        "; join again by: smackd join",
                    0};
    changed_.notify_all();
}

Result<void> AgentNode::wait_ready() {
    std::unique_lock lock(mutex_);
    const core::Instant end = clock_.now() + kReadyLimit;
    const core::Instant alone = clock_.now() + kAloneAfter;
    while (!ready_) {
        if (refused_) return std::unexpected(*refused_);
        if (stop_signal_pending()) return core::fail(Errc::kCancelled, "stopped before it was ready");
        if (has_copy_ && clock_.now() > alone) {
            logger_.warning("no server answers; what is known of the state is the copy on disk");
            return {};
        }
        if (clock_.now() > end)
            return core::fail(Errc::kTimeout, "no server answered in {}", core::format_duration(kReadyLimit));
        changed_.wait_for(lock, kReadyStep);
    }
    return {};
}

void AgentNode::stop() {
    if (std::exchange(stopped_, true)) return;
    {
        std::lock_guard lock(mutex_);
        stopping_ = true;
        changed_.notify_all();
    }
    running_apps_ = nullptr;
    if (apps_) apps_->stop(removed().has_value());
    if (thread_) {
        // Its good-bye may go over the stream.
        if (auto liveness = thread_->call<std::shared_ptr<Liveness>>([this] { return liveness_; }))
            liveness->stop();
        thread_->await<bool>([this] {
            return [](net::Scope& scope) -> net::Task<bool> {
                co_await scope.close();
                co_return true;
            }(*scope_);
        });
        thread_->stop();
    }
    // A renewal that waits for a silent KDC ends with its deadline at the latest.
    if (renewal_.joinable()) renewal_.join();
    logger_.info("stopped");
}

}  // namespace

Result<std::unique_ptr<Node>> start_agent(NodeOptions options) {
    auto node = std::make_unique<AgentNode>(std::move(options));
    TRY(node->begin());
    return std::unique_ptr<Node>(std::move(node));
}

}  // namespace smackd::cmd
