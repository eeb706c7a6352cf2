#include "cmd/smackd/node/node.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <format>
#include <thread>

#include "auth/join_server.h"
#include "auth/kdc_process.h"
#include "cmd/smackd/config_text.h"
#include "cmd/smackd/join.h"
#include "cmd/smackd/node/admission.h"
#include "cmd/smackd/node/agent_node.h"
#include "cmd/smackd/node/agents.h"
#include "cmd/smackd/node/api_thread.h"
#include "cmd/smackd/node/apps_thread.h"
#include "cmd/smackd/node/control.h"
#include "cmd/smackd/node/kdc.h"
#include "cmd/smackd/signals.h"
#include "cmd/smackd/version.h"
#include "core/json.h"
#include "storage/sqlite/vfs.h"
#include "storage/state/reader.h"
#include "storage/state/state_machine.h"

namespace smackd::cmd {
namespace {

inline constexpr size_t kWorkers = 4;
inline constexpr size_t kWorkerQueueMax = 1024;
inline constexpr size_t kPasswordWorkers = 2;
inline constexpr size_t kPasswordQueueMax = 64;
inline constexpr core::Duration kReadyPoll = core::milliseconds(50);
inline constexpr core::Duration kStopLimit = core::seconds(8);

// Connections, segments and databases: the soft limit of 1024 is soon reached, the hard one is the operator's
// word.
void raise_descriptor_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

// Literal addresses and localhost cannot be pointed elsewhere by a foreign DNS server, so they are always
// answered.
std::vector<std::string> host_names_of(const Config& config, const NodeIdentity& identity) {
    std::vector<std::string> names{identity.name};
    auto add = [&names](const std::string& name) {
        if (std::ranges::find(names, name) == names.end()) names.push_back(name);
    };
    for (const std::string& name : config.host_names) add(name);
    for (const char* name : {"localhost", "127.0.0.1", "::1"}) add(name);
    std::string listen = host_of(config.api_address);
    if (listen != "0.0.0.0" && listen != "::") add(listen);
    return names;
}

// As they stand in a Host header.
std::vector<std::string> bracketed(std::vector<std::string> names) {
    for (std::string& name : names) {
        if (name.find(':') != std::string::npos) name = "[" + name + "]";
    }
    return names;
}

/// What the KDC's clients dial: a wildcard address is reached by the name that the node joined with.
std::string kdc_for_clients(const Config& config, const NodeIdentity& identity) {
    std::string host = host_of(config.kdc_address);
    if (host == "0.0.0.0" || host == "::")
        host = identity.address.empty() ? identity.name : host_of(identity.address);
    bool bracket = host.find(':') != std::string::npos;
    return std::format("{}{}{}:{}", bracket ? "[" : "", host, bracket ? "]" : "",
                       port_of(config.kdc_address));
}

/// Host ports for tasks: demos of several data directories on one machine do not take each other's.
apps::PortRange host_ports_of(const DataDirectory& directory) {
    constexpr uint16_t kFirst = 21000;
    constexpr uint16_t kCount = 500;
    constexpr uint64_t kRanges = 20;
    const auto range = static_cast<uint16_t>(std::hash<std::string>{}(directory.mark()) % kRanges);
    const auto first = static_cast<uint16_t>(kFirst + range * kCount);
    return {first, static_cast<uint16_t>(first + kCount - 1)};
}

/// Logs what an operator must know of changes in consensus.
class StatusLog {
 public:
    explicit StatusLog(core::Logger logger) : logger_(std::move(logger)) {}
    void note(const storage::ReplicaStatus& status) {
        if (status.role != role_ || status.leader != leader_) {
            logger_.info("consensus", {{"role", role_name(status.role)},
                                       {"leader", status.leader.value},
                                       {"term", status.term.value}});
        }
        role_ = status.role;
        leader_ = status.leader;
        auto has = [](const std::vector<storage::Alarm>& alarms, const std::string& name) {
            return std::ranges::any_of(alarms,
                                       [&](const storage::Alarm& alarm) { return alarm.name == name; });
        };
        for (const storage::Alarm& alarm : status.alarms) {
            if (!has(alarms_, alarm.name)) logger_.error("alarm " + alarm.name, {{"what", alarm.message}});
        }
        for (const storage::Alarm& alarm : alarms_) {
            if (!has(status.alarms, alarm.name)) logger_.info("alarm over", {{"alarm", alarm.name}});
        }
        alarms_ = status.alarms;
    }

 private:
    static std::string_view role_name(storage::ReplicaRole role) {
        using enum storage::ReplicaRole;
        if (role == kLeader) return "leader";
        if (role == kFollower) return "follower";
        return role == kCandidate ? "candidate" : "unavailable";
    }
    core::Logger logger_;
    storage::ReplicaRole role_ = storage::ReplicaRole::kUnavailable;
    core::NodeId leader_;
    std::vector<storage::Alarm> alarms_;
};

class RunningNode final : public Node {
 public:
    explicit RunningNode(NodeOptions options)
        : options_(std::move(options)),
          directory_(options_.config.data_dir),
          logger_(options_.log, "node"),
          status_log_(logger_) {}
    ~RunningNode() override { stop(); }

    core::Result<void> begin();
    core::Result<void> wait_ready() override;
    void stop() override;
    const NodeIdentity& identity() const override { return identity_; }
    std::optional<core::Error> removed() const override {
        std::lock_guard lock(mutex_);
        return removed_;
    }

 private:
    void stop_removed(const core::Error& why);
    core::Result<void> read_files();
    core::Result<void> prepare_kerberos();
    core::Result<void> write_krb5_conf(const std::vector<auth::AdmittedNode>& servers);
    core::Result<void> start_consensus();
    core::Result<void> start_api();
    void start_joining();
    void start_apps();
    services::EdgeIssuer edge_issuer() const;
    void order(core::NodeId node, std::string method, core::Bytes request,
               core::Callback<void(core::Result<core::Bytes>)> done);
    void ask_for_task(core::NodeId node, std::string_view call, core::Bytes request,
                      core::Callback<void(core::Result<core::Bytes>)> done);
    core::Result<void> start_kdc();
    core::Result<std::unique_ptr<storage::Fsm>> open_state(core::Executor& checkpoints);
    core::Result<void> wait_set_up();
    void propose_setup();
    void renew_later();
    core::Result<void> write_listeners() const;

    NodeOptions options_;
    DataDirectory directory_;
    core::Logger logger_;
    StatusLog status_log_;
    NodeIdentity identity_;
    std::optional<DirectoryLock> lock_;
    std::optional<ClusterSecrets> secrets_;
    core::Bytes setup_command_;
    std::string krb5_conf_;  // as it was last written; by begin(), then by one worker at a time
    core::MetricRegistry metrics_;
    net::SystemClock clock_;
    net::PosixDisk disk_;
    std::unique_ptr<storage::sqlite::Vfs> vfs_;
    std::optional<storage::feed::Hub> hub_;
    std::shared_ptr<storage::state::Generation> generation_;
    storage::state::StateMachine* machine_ = nullptr;  // of the consensus thread
    std::unique_ptr<net::WorkerPool> workers_;
    std::unique_ptr<net::WorkerPool> password_workers_;
    std::unique_ptr<TlsIdentities> identities_;
    std::unique_ptr<Consensus> consensus_;
    std::unique_ptr<Agents> agents_;
    std::unique_ptr<ApiThread> api_;
    std::atomic<ApiThread*> running_api_ = nullptr;  // for the threads of tasks and agents
    std::unique_ptr<Kdc> kdc_;
    std::unique_ptr<Admission> admission_;
    std::unique_ptr<auth::JoinServer> join_server_;
    std::unique_ptr<Control> control_;
    std::atomic<Control*> running_control_ = nullptr;  // for the consensus thread
    std::unique_ptr<AppsThread> apps_;
    std::atomic<AppsThread*> running_apps_ = nullptr;  // for the consensus thread
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    bool setup_in_flight_ = false;        // guarded by mutex_, as is the next
    std::optional<core::Error> removed_;  // why
    bool stopped_ = false;
};

core::Result<void> RunningNode::read_files() {
    auto identity = read_identity(directory_);
    if (!identity && identity.error().code == core::Errc::kNotFound) {
        return core::fail(core::Errc::kNotFound,
                          "{} holds no node; make the first one of a cluster by: smackd start --bootstrap "
                          "--embedded-realm NAME",
                          directory_.path());
    }
    if (!identity) return core::pass(std::move(identity));
    identity_ = std::move(*identity);
    TRY(directory_.make());
    auto lock = DirectoryLock::take(directory_);
    if (!lock) return core::pass(std::move(lock));
    lock_.emplace(std::move(*lock));
    auto secrets = read_cluster_secrets(directory_);
    if (!secrets) return core::pass(std::move(secrets), "the node's keys");
    secrets_.emplace(std::move(*secrets));
    // In a realm of the site the keytab is the machine's own; what it joined with is second best.
    std::string& keytab = options_.config.keytab;
    const bool absent = ::access(keytab.c_str(), R_OK) != 0;
    if (absent && ::access(node_keytab_path(directory_).c_str(), R_OK) == 0)
        keytab = node_keytab_path(directory_);
    auto setup = read_small_file(setup_command_path(directory_));
    if (setup) setup_command_ = std::move(*setup);
    return {};
}

// The server is a Kerberos client too (password checks). Before any thread: GSS reads the environment.
core::Result<void> RunningNode::prepare_kerberos() {
    if (!identity_.embedded_realm) return {};
    TRY(write_krb5_conf(read_join_members(directory_)));
    auth::set_kerberos_environment(client_krb5_conf_path(directory_));
    return {};
}

// This node's own KDC first: it is the nearest. libkrb5 gives each a second before it asks the next one too.
core::Result<void> RunningNode::write_krb5_conf(const std::vector<auth::AdmittedNode>& servers) {
    std::vector<std::string> kdcs{kdc_for_clients(options_.config, identity_)};
    for (const auth::AdmittedNode& server : servers) {
        if (!server.server || server.id.value == identity_.node_id) continue;
        std::string kdc = auth::kdc_of_server(server.address, port_of(options_.config.kdc_address));
        if (!std::ranges::contains(kdcs, kdc)) kdcs.push_back(std::move(kdc));
    }
    std::string text = auth::client_krb5_conf(identity_.realm, kdcs);
    if (text == krb5_conf_) return {};
    TRY(replace_file(client_krb5_conf_path(directory_), text, 0644));
    krb5_conf_ = std::move(text);
    return {};
}

core::Result<void> RunningNode::begin() {
    ::umask(0077);  // what is not made readable on purpose is private
    TRY(read_files());
    TRY(prepare_kerberos());
    raise_descriptor_limit();
    workers_ = std::make_unique<net::WorkerPool>("worker", kWorkers, kWorkerQueueMax);
    password_workers_ = std::make_unique<net::WorkerPool>("password", kPasswordWorkers, kPasswordQueueMax);
    TlsIdentities::Parts parts{directory_, identity_, host_names_of(options_.config, identity_)};
    TRY_ASSIGN(identities_,
               TlsIdentities::make(std::move(parts), secrets_->ca, clock_, logger_.named("tls")));
    vfs_ = storage::sqlite::Vfs::over_unix();  // the KDC's process reads realm.db
    hub_.emplace(storage::feed::HubLimits{}, metrics_);
    TRY(start_consensus());
    start_apps();
    TRY(start_api());
    start_joining();
    return {};
}

core::Result<std::unique_ptr<storage::Fsm>> RunningNode::open_state(core::Executor& checkpoints) {
    storage::state::StateOptions options{directory_.state(),    disk_, *vfs_, *hub_, metrics_,
                                         logger_.named("state")};
    options.checkpoint_executor = &checkpoints;
    TRY_ASSIGN(auto machine, storage::state::StateMachine::open(std::move(options)));
    generation_ = machine->generation();
    machine_ = machine.get();
    return std::unique_ptr<storage::Fsm>(std::move(machine));
}

core::Result<void> RunningNode::start_consensus() {
    ConsensusOptions options{directory_,           identity_, {}, options_.config.cluster_address, {},
                             std::string(kVersion)};
    if (identity_.embedded_realm) options.kdc_port = port_of(options_.config.kdc_address);
    auto voters = read_initial_voters(directory_);
    if (!voters && voters.error().code != core::Errc::kNotFound) return core::pass(std::move(voters));
    if (voters) options.initial_voters = std::move(*voters);
    options.advertised_address = identity_.address;
    for (const InitialVoter& voter : options.initial_voters) {
        const bool ours = voter.node_id == identity_.node_id && options.advertised_address.empty();
        if (ours) options.advertised_address = voter.address;
    }
    ConsensusEnvironment environment{
        disk_, clock_, *workers_, *identities_, metrics_, logger_, [this](core::Executor& executor) {
            return open_state(executor);
        }};
    TRY_ASSIGN(consensus_, Consensus::start(std::move(options), std::move(environment)));
    hub_->set_history(storage::state::feed_history({directory_.state(), *vfs_, generation_}));
    consensus_->set_committed([this] { return hub_->head(); });
    consensus_->on_change([this](const storage::ReplicaStatus& status) {
        status_log_.note(status);
        if (Control* control = running_control_.load()) control->consensus_changed();
        if (AppsThread* apps = running_apps_.load()) apps->consensus_changed();
        changed_.notify_all();
    });
    return {};
}

// The main thread, which waits for a signal, does the rest.
void RunningNode::stop_removed(const core::Error& why) {
    {
        std::lock_guard lock(mutex_);
        if (std::exchange(removed_, why)) return;
    }
    logger_.error("this node was removed from the cluster; it stops", {{"why", why.message}});
    send_stop_signal();
}

// Who joins is decided here and committed by the leader; who is refused is in this node's log.
void RunningNode::start_joining() {
    const storage::state::ReaderOptions reader{directory_.state(), *vfs_, generation_};
    auto refused = [this](auth::Refusal refusal) { api_->note_refusal(std::move(refusal)); };
    admission_ = std::make_unique<Admission>(
        Admission::Parts{*consensus_, *workers_, clock_, *secrets_, *hub_, reader, identity_,
                         port_of(options_.config.kdc_address), logger_.named("join")},
        refused);
    std::string keytab = identity_.embedded_realm ? node_keytab_path(directory_) : options_.config.keytab;
    join_server_ = std::make_unique<auth::JoinServer>(
        consensus_->loop(), *workers_, clock_,
        auth::JoinServerOptions{std::move(keytab), identity_.realm, {}}, *admission_);
    agents_ = std::make_unique<Agents>(Agents::Parts{
        {.software = std::string(kVersion), .node = core::NodeId{identity_.node_id}},
        *workers_,
        *hub_,
        reader,
        [this] { return consensus_->standing(); },
        [this](core::Bytes command, auto done) { consensus_->propose(std::move(command), std::move(done)); },
        [this](auto done) { consensus_->barrier(std::move(done)); },
        [this](core::NodeId node, std::string_view call, core::Bytes request, auto done) {
            ask_for_task(node, call, std::move(request), std::move(done));
        },
        identity_.realm,
        edge_issuer(),
        clock_,
        logger_.named("agents")});
    auto told = read_join_registry(directory_, identity_.cluster_id);
    if (!told && told.error().code != core::Errc::kNotFound)
        logger_.warning("what this server was told when it joined", {{"error", told.error().message}});
    consensus_->loop().post(
        [this, refused, told = std::move(told)]() mutable {
            Peers& peers = consensus_->peers();
            peers.set_agents(agents_.get());
            peers.set_refused(refused);
            peers.set_removed([this](const core::Error& why) { stop_removed(why); });
            peers.set_orders([this](std::string method, core::Bytes request, auto done) {
                AppsThread* apps = running_apps_.load();
                if (apps == nullptr)
                    return done(core::fail(core::Errc::kUnavailable, "this server is starting"));
                apps->answer(std::move(method), std::move(request), std::move(done));
            });
            peers.set_join([this](std::unique_ptr<net::Stream> stream) {
                return join_server_->serve(std::move(stream));
            });
            // Its own state begins in the past: until that has come further, a new server goes by what it was
            // told. Nor could it answer the leader without an address, which comes with the log.
            if (told && !peers.registry())
                peers.set_registry(std::make_shared<const auth::Registry>(std::move(*told)));
        },
        "joining");
    auto registry_read = [this](const auth::Registry& registry) {
        if (!identity_.embedded_realm || !registry.known()) return;
        auto written = write_krb5_conf(registry.admitted());
        if (!written) logger_.error("krb5.conf not written", {{"error", written.error().message}});
    };
    control_ = std::make_unique<Control>(Control::Parts{
        *consensus_, *workers_, *hub_, reader, core::NodeId{identity_.node_id}, logger_.named("control"),
        clock_, secrets_->cluster_key, identity_.cluster_id, options_.config.cluster_address,
        directory_.known_members(), refused, std::move(registry_read)});
    running_control_ = control_.get();
}

void RunningNode::order(core::NodeId node, std::string method, core::Bytes request,
                        core::Callback<void(core::Result<core::Bytes>)> done) {
    consensus_->loop().post(
        [this, node, method = std::move(method), request = std::move(request),
         done = std::move(done)]() mutable {
            consensus_->peers().order(node, std::move(method), std::move(request), std::move(done));
        },
        "order");
}

void RunningNode::ask_for_task(core::NodeId node, std::string_view call, core::Bytes request,
                               core::Callback<void(core::Result<core::Bytes>)> done) {
    ApiThread* api = running_api_.load();
    if (api == nullptr) return done(core::fail(core::Errc::kUnavailable, "this server is starting"));
    api->ask_for_task(node, call, std::move(request), std::move(done));
}

services::EdgeIssuer RunningNode::edge_issuer() const {
    const std::vector<std::string> hosts = host_names_of(options_.config, identity_);
    return {secrets_->ca, {directory_.state(), *vfs_, generation_}, {hosts.begin(), hosts.end()}};
}

// Every server can decide about applications, since any may lead.
void RunningNode::start_apps() {
    AppsEnvironment environment{
        disk_,
        clock_,
        *workers_,
        logger_.named("apps"),
        *consensus_,
        *hub_,
        {directory_.state(), *vfs_, generation_},
        [this] {
            const Control* control = running_control_.load();
            return live_members(control == nullptr ? nullptr : control->liveness());
        },
        edge_issuer(),
        [this](core::NodeId node, std::string method, core::Bytes request, auto done) {
            order(node, std::move(method), std::move(request), std::move(done));
        },
        [this](std::string_view call, core::Bytes request, auto done) {
            ask_for_task(core::NodeId{identity_.node_id}, call, std::move(request), std::move(done));
        }};
    apps_ = std::make_unique<AppsThread>(local_tasks_options(options_, identity_), std::move(environment));
    running_apps_ = apps_.get();
}

core::Result<void> RunningNode::start_api() {
    ApiThreadOptions options;
    options.directory = directory_;
    options.identity = identity_;
    options.listen = options_.config.api_address;
    options.host_names = bracketed(host_names_of(options_.config, identity_));
    options.plain_http = options_.demo;
    options.token_life_s = options_.config.token_life_s;
    options.keytab = options_.config.keytab;
    if (identity_.embedded_realm) options.kdc = kdc_for_clients(options_.config, identity_);
    options.backup = options_.config.backup;
    if (options.backup.directory.empty()) options.backup.directory = directory_.backups();
    ApiThreadEnvironment environment{disk_,
                                     clock_,
                                     *workers_,
                                     *password_workers_,
                                     *identities_,
                                     *secrets_,
                                     metrics_,
                                     logger_.named("api"),
                                     *consensus_,
                                     *hub_,
                                     {directory_.state(), *vfs_, generation_},
                                     *vfs_,
                                     [machine = machine_] { return machine->begin_backup(); },
                                     [this] {
                                         const Control* control = running_control_.load();
                                         return control == nullptr ? nullptr : control->liveness();
                                     },
                                     apps_.get()};
    TRY_ASSIGN(api_, ApiThread::start(std::move(options), std::move(environment)));
    running_api_ = api_.get();
    api_->loop().post([this] { renew_later(); }, "renewal");
    return {};
}

void RunningNode::renew_later() {
    api_->loop().start(
        kCertificateCheck,
        [this] {
            workers_->submit([this] { identities_->renew(); });
            renew_later();
        },
        "renewal");
}

core::Result<void> RunningNode::start_kdc() {
    if (!secrets_->master_key) return {};
    TRY_ASSIGN(kdc_, Kdc::start(identity_.realm, directory_.realm() + "/realm.db",
                                options_.config.kdc_address, *secrets_->master_key, logger_.named("kdc")));
    return kdc_->wait_ready();
}

// Whoever leads a state without a cluster makes one; the command expects that there is none.
void RunningNode::propose_setup() {
    {
        std::lock_guard lock(mutex_);
        if (setup_in_flight_) return;
        setup_in_flight_ = true;
    }
    consensus_->propose(setup_command_, [this](core::Result<core::Bytes> result) {
        if (!result) logger_.warning("setting up the cluster", {{"error", result.error().message}});
        std::lock_guard lock(mutex_);
        setup_in_flight_ = false;
        changed_.notify_all();
    });
}

core::Result<void> RunningNode::wait_set_up() {
    core::Instant end = clock_.now() + kReadyLimit;
    while (hub_->head().number == 0) {
        if (stop_signal_pending()) return core::fail(core::Errc::kCancelled, "stopped before it was ready");
        if (clock_.now() > end) {
            return core::fail(
                core::Errc::kTimeout,
                "no state after {}: are most of the cluster's servers up, and can they reach {}?",
                core::format_duration(kReadyLimit), options_.config.cluster_address);
        }
        bool leads = consensus_->status().role == storage::ReplicaRole::kLeader;
        if (leads && !setup_command_.empty()) propose_setup();
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, leads ? core::Duration(core::milliseconds(2)) : kReadyPoll);
    }
    return {};
}

core::Result<void> RunningNode::wait_ready() {
    TRY(wait_set_up());
    TRY(start_kdc());
    TRY(write_listeners());
    logger_.info("ready", {{"node", identity_.name}, {"api", options_.config.api_address}});
    return {};
}

core::Result<void> RunningNode::write_listeners() const {
    core::Json listeners;
    listeners.set("api", options_.config.api_address).set("cluster", options_.config.cluster_address);
    if (identity_.embedded_realm) listeners.set("kdc", kdc_for_clients(options_.config, identity_));
    return replace_file(directory_.listeners(), listeners.dump_pretty() + "\n", 0644);
}

void RunningNode::stop() {
    if (std::exchange(stopped_, true)) return;
    // What hangs must not hang the host's shutdown; everything acknowledged is on disk already.
    std::thread([logger = logger_] {
        std::this_thread::sleep_for(kStopLimit);
        logger.error("stopping took too long; ending at once",
                     {{"limit", core::format_duration(kStopLimit)}});
        ::_exit(1);
    }).detach();
    if (api_) api_->stop();
    if (kdc_) kdc_->stop();
    running_apps_ = nullptr;
    if (apps_) apps_->stop(removed().has_value());
    if (control_) control_->stop();
    if (agents_) agents_->stop();
    if (consensus_) consensus_->stop();
    logger_.info("stopped");
}

}  // namespace

LocalTasksOptions local_tasks_options(const NodeOptions& node, const NodeIdentity& identity) {
    const Config& config = node.config;
    LocalTasksOptions options;
    options.directory = DataDirectory(config.data_dir);
    options.identity = identity;
    if (identity.address.empty()) options.identity.address = config.advertise_address;
    options.tasks = config.tasks;
    options.demo = node.demo;
    options.behind_nat = config.gossip_by_stream;
    if (node.demo) options.tasks.ports = {host_ports_of(options.directory)};
    options.edge.config = config.edge;
    options.edge.api_hosts = bracketed(host_names_of(config, identity));
    options.edge.token_issuer = identity.cluster_id;
    options.edge.demo = node.demo;
    options.insecure_registries = config.insecure_registries;
    options.allowed_addresses = config.fetch_allowed;
    return options;
}

core::Result<std::unique_ptr<Node>> Node::start(NodeOptions options) {
    const DataDirectory directory(options.config.data_dir);
    const std::string settings = settings_text(options.config);
    const core::Logger logger(options.log, "node");
    auto identity = read_identity(directory);
    std::unique_ptr<Node> node;
    if (identity && identity->role == "agent") {
        TRY_ASSIGN(node, start_agent(std::move(options)));
    } else {
        auto server = std::make_unique<RunningNode>(std::move(options));
        TRY(server->begin());
        node = std::move(server);
    }
    // For the doctor, which reads the file and not the daemon's flags.
    auto told = replace_file(running_settings_path(directory), settings, 0600);
    if (!told) logger.warning("settings not noted", {{"error", told.error().message}});
    return node;
}

}  // namespace smackd::cmd
