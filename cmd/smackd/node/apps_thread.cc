#include "cmd/smackd/node/apps_thread.h"

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "auth/http_rules.h"
#include "cmd/smackd/node/foreign_wait.h"
#include "core/ip_address.h"
#include "services/agent/bridge.h"
#include "storage/state/limits.h"

namespace smackd::cmd {

using core::Result;

namespace {

constexpr core::Duration kRoleLook = core::milliseconds(200);
constexpr core::Duration kStartRetry = core::seconds(5);
constexpr core::Duration kFollowWait = core::seconds(60);

std::string program() {
    char buffer[4096];
    const ssize_t length = ::readlink("/proc/self/exe", buffer, sizeof buffer);
    return {buffer, length > 0 ? static_cast<size_t>(length) : 0};
}

/// "ADDRESS:53" of each `nameserver` of the host (resolv.conf(5)): who is asked for names that are not ours.
std::vector<std::string> system_name_servers() {
    std::vector<std::string> all;
    std::ifstream file("/etc/resolv.conf");
    std::string word;
    std::string line;
    while (std::getline(file, line)) {
        std::istringstream words(line);
        std::string address;
        if (!(words >> word >> address) || word != "nameserver" || !core::IpAddress::parse(address)) continue;
        const bool v6 = address.find(':') != std::string::npos;
        all.push_back(v6 ? "[" + address + "]:53" : address + ":53");
    }
    return all;
}

wire::EdgeSettings edge_settings(const EdgeSetup& options, const std::string& gateway,
                                 const std::string& address) {
    wire::EdgeSettings settings;
    for (const std::string& listener : options.dns_listeners) settings.add_dns_listeners(listener);
    if (!gateway.empty()) settings.add_dns_listeners(gateway + ":53");
    for (const auto& [name, dns] : {std::pair{"external", "marathon-lb.marathon.mesos"},
                                    std::pair{"internal", "marathon-lb-internal.marathon.mesos"}}) {
        wire::EdgeGroup* group = settings.add_groups();
        group->set_name(name);
        group->add_dns_names(dns);
        group->add_dns_addresses(address);
        for (const std::string& bind : options.bind_addresses) group->add_bind_addresses(bind);
        if (!gateway.empty()) group->add_bind_addresses(gateway);
        if (std::string_view(name) != "external") continue;
        for (const std::string& listener : options.http_listeners) group->add_http_listeners(listener);
        for (const std::string& listener : options.https_listeners) group->add_https_listeners(listener);
    }
    for (const std::string& host : options.api_hosts) settings.add_api_hosts(host);
    settings.set_token_issuer(options.token_issuer);
    // A browser sends the dashboard's cookie to every port of the host.
    for (std::string_view cookie : {auth::kSessionCookie, auth::kSecureSessionCookie})
        settings.add_api_cookies(std::string(cookie));
    for (const std::string& server : system_name_servers()) {
        if (std::ranges::find(settings.dns_listeners(), server) == settings.dns_listeners().end())
            settings.add_forwarders(server);
    }
    return settings;
}

class NodeImages final : public services::ImageSource {
 public:
    explicit NodeImages(services::images::Images& images) : images_(images) {}
    net::Task<Result<services::images::Image>> ensure_image(services::images::ImageRequest request) override {
        return images_.ensure_image(std::move(request));
    }
    Result<services::images::Image> hold(const core::images::Digest& id) override { return images_.hold(id); }
    net::Task<Result<void>> fetch(services::images::ArtifactRequest request, std::string sandbox) override {
        return images_.fetch(std::move(request), std::move(sandbox));
    }

 private:
    services::images::Images& images_;
};

}  // namespace

AppsThread::AppsThread(AppsOptions options, AppsEnvironment environment)
    : options_(std::move(options)),
      environment_(std::move(environment)),
      thread_("apps", environment_.logger),
      scope_(thread_.loop()),
      tls_(thread_.loop(), environment_.workers),
      state_(thread_.loop(), environment_.consensus, environment_.hub),
      follower_(thread_.loop(), environment_.workers, environment_.hub, environment_.reader) {
    thread_.start();
    thread_.call<bool>([this] {
        services::Scheduler::Parts parts{thread_.loop(),
                                         environment_.workers,
                                         environment_.hub,
                                         environment_.reader,
                                         environment_.clock,
                                         random_,
                                         core::NodeId{options_.identity.node_id},
                                         environment_.logger.named("scheduler"),
                                         [this](core::Bytes command, auto done) {
                                             environment_.consensus.propose(std::move(command),
                                                                            std::move(done));
                                         },
                                         [this] { return environment_.liveness(); }};
        scheduler_ = std::make_unique<services::Scheduler>(std::move(parts));
        decide_role();
        scope_.spawn(run());
        return true;
    });
}

AppsThread::~AppsThread() {
    stop();
}

void AppsThread::stop() {
    if (std::exchange(stopped_, true)) return;
    thread_.await<bool>([this] {
        return [](AppsThread& self) -> net::Task<bool> {
            self.thread_.loop().cancel(self.role_timer_);
            co_await self.scheduler_->close();
            co_await self.scope_.close();
            if (self.tasks_) co_await self.tasks_->close();
            if (self.options_.ends_tasks_on_stop && self.runner_) co_await self.end_tasks();
            if (self.images_) co_await self.images_->close();
            if (self.edge_ && self.options_.ends_tasks_on_stop) self.edge_->end();
            self.edge_.reset();
            if (self.runner_) co_await self.runner_->close();
            if (self.options_.ends_tasks_on_stop && self.runner_) {
                auto removed = agent::remove_bridge(agent::agent_name(self.options_.directory.agent()));
                if (!removed)
                    self.environment_.logger.warning("removing the bridge",
                                                     {{"error", removed.error().message}});
            }
            self.tasks_.reset();
            self.runner_.reset();
            self.image_source_.reset();
            self.images_.reset();
            self.scheduler_.reset();
            co_return true;
        }(*this);
    });
    thread_.stop();
}

void AppsThread::consensus_changed() {
    thread_.loop().post([this] { decide_role(); }, "consensus changed");
}

/// How each of them ended is told when the node starts again.
net::Task<void> AppsThread::end_tasks() {
    const core::Instant end = environment_.clock.now() + kEndTasksLimit;
    bool asked = false;
    while (environment_.clock.now() < end) {
        bool running = false;
        for (const wire::LocalTask& task : runner_->list()) {
            if (task.phase() == wire::LocalTask::ENDED) continue;
            running = true;
            if (!asked) {
                auto told = co_await runner_->kill(task.task_id(), kEndTasksLimit / 2);
                if (!told) environment_.logger.warning("ending a task", {{"error", told.error().message}});
            }
        }
        if (!running) co_return;
        asked = true;
        auto slept = co_await net::sleep(thread_.loop(), core::milliseconds(20));
        if (!slept) co_return;
    }
}

/// A new leader decides once an entry of its own term is applied.
void AppsThread::decide_role() {
    if (scope_.cancelled()) return;
    thread_.loop().cancel(std::exchange(role_timer_, 0));
    const storage::ReplicaStatus status = environment_.consensus.status();
    const bool leads = status.role == storage::ReplicaRole::kLeader;
    scheduler_->lead(leads && status.may_plan ? std::optional(status.term) : std::nullopt);
    if (leads && !status.may_plan)
        role_timer_ = thread_.loop().start(kRoleLook, [this] { decide_role(); }, "role");
}

net::Task<void> AppsThread::run() {
    while (!scope_.cancelled()) {
        auto followed = co_await follow();
        if (scope_.cancelled()) co_return;
        environment_.logger.warning("following applications", {{"error", followed.error().message}});
        auto slept = co_await net::sleep(thread_.loop(), kStartRetry);
        if (!slept) co_return;
    }
}

/// Until an error or the end.
net::Task<Result<void>> AppsThread::follow() {
    CO_TRY(co_await services::wait_for_revision(thread_.loop(), environment_.hub,
                                                {environment_.hub.head().epoch, 1}));
    if (options_.runs_tasks && runner_ == nullptr) CO_TRY(co_await start_agent());
    CO_TRY(co_await follower_.load());
    while (true) {
        if (options_.runs_tasks) CO_TRY(co_await report_capacity());
        tell_edge();  // before the agent: what is to end gets no more requests
        if (tasks_) tasks_->look(follower_.model());
        bool reloaded = false;
        CO_TRY(co_await follower_.next(kFollowWait, reloaded));
    }
}

net::Task<Result<void>> AppsThread::start_agent() {
    const std::string directory = options_.directory.agent();
    agent::RunnerOptions options;
    options.directory = directory;
    options.subnet = options_.subnet;
    options.logger = environment_.logger.named("tasks");
    CO_TRY_ASSIGN(runner_, co_await agent::TaskRunner::start(thread_.loop(), std::move(options)));
    services::images::ImagesOptions images;
    images.directory = options_.directory.path() + "/images";
    images.insecure_registries = options_.insecure_registries;
    images.allowed_addresses = options_.allowed_addresses;
    CO_TRY_ASSIGN(images_, services::images::Images::open(
                               {thread_.loop(), environment_.workers, tls_, environment_.disk,
                                environment_.clock, environment_.logger.named("images")},
                               std::move(images)));
    image_source_ = std::make_unique<NodeImages>(*images_);
    const std::string sandboxes = directory + "/sandboxes";
    if (::mkdir(sandboxes.c_str(), 0711) != 0 && errno != EEXIST)
        co_return core::fail_errno(errno, "the folder of sandboxes");
    tasks_ = std::make_unique<services::Agent>(services::Agent::Parts{
        thread_.loop(), *runner_, image_source_.get(), &tls_, environment_.clock,
        core::NodeId{options_.identity.node_id}, sandboxes, environment_.logger.named("agent"),
        [this](wire::Command command) { return propose_as_machine(std::move(command)); },
        [this](std::string task) { return release(std::move(task)); }});
    const std::string root = directory + "/edge";
    if (::mkdir(root.c_str(), 0755) != 0 && errno != EEXIST)
        co_return core::fail_errno(errno, "the edge's folder");
    const std::string runtime = "/run/smackd-" + options_.directory.mark();
    if (::mkdir(runtime.c_str(), 0700) != 0 && errno != EEXIST) co_return core::fail_errno(errno, runtime);
    const std::string socket = runtime + "/edge.sock";
    if (options_.edge.enabled)
        edge_ = std::make_unique<EdgeProcess>(thread_.loop(), program(), root, socket,
                                              environment_.logger.named("edge"));
    co_return Result<void>();
}

net::Task<Result<void>> AppsThread::release(std::string task) {
    if (edge_ == nullptr) co_return Result<void>();
    co_return co_await edge_->release(std::move(task));
}

net::Task<Result<wire::CommandResult>> AppsThread::propose_as_machine(wire::Command command) {
    wire::Actor* actor = command.mutable_actor();
    actor->set_kind(wire::Actor::MACHINE);
    actor->set_principal("smack/" + options_.identity.name + "@" + options_.identity.realm);
    actor->set_door("agent");
    co_return co_await state_.propose(std::move(command));
}

std::string AppsThread::host_address() const {
    return options_.host_address.empty() ? runner_->gateway() : options_.host_address;
}

wire::NodeCapacity AppsThread::capacity() const {
    wire::NodeCapacity capacity;
    capacity.set_node_id(options_.identity.node_id);
    wire::Resources* total = capacity.mutable_total();
    total->set_cpus_milli(static_cast<uint64_t>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN))) * 1000);
    const auto memory =
        static_cast<uint64_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
    total->set_memory_bytes(memory - std::min(memory / 2, std::max(kMemoryKeptBytes, memory / 10)));
    struct statvfs disk{};
    if (::statvfs(options_.directory.path().c_str(), &disk) == 0)
        total->set_disk_bytes(static_cast<uint64_t>(disk.f_blocks) * disk.f_frsize / 10 * 9);
    wire::PortRange* ports = capacity.add_ports();
    ports->set_first(options_.host_ports.first);
    ports->set_last(options_.host_ports.second);
    capacity.set_address(host_address());
    capacity.set_host_network(true);
    return capacity;
}

/// Tells what the node has when the state says something else.
net::Task<Result<void>> AppsThread::report_capacity() {
    const wire::NodeCapacity now = capacity();
    const auto& known = follower_.model().capacities;
    const auto row = known.find(options_.identity.node_id);
    if (row != known.end() && row->second.SerializeAsString() == now.SerializeAsString())
        co_return Result<void>();
    if (!follower_.model().nodes.contains(options_.identity.node_id)) co_return Result<void>();
    wire::Command command;
    command.set_feature_level(storage::state::kLevelOfApps);
    *command.add_changes()->mutable_put_node_capacity()->mutable_capacity() = now;
    CO_TRY_ASSIGN(const wire::CommandResult result, co_await propose_as_machine(std::move(command)));
    if (result.code() != 0)
        co_return core::fail(static_cast<core::Errc>(result.code()), "{}", result.message());
    co_return Result<void>();
}

void AppsThread::tell_edge() {
    if (edge_ == nullptr) return;
    services::EdgeFacts facts;
    facts.self = core::NodeId{options_.identity.node_id};
    facts.settings = edge_settings(options_.edge, runner_->gateway(), host_address());
    facts.leader = environment_.consensus.status().leader;
    wire::EdgeTable table = services::edge_table(follower_.model(), facts);
    open_service_ports(table);
    edge_->update(std::move(table));
}

/// Tasks reach the service ports of their node, whatever else of it is closed to them.
void AppsThread::open_service_ports(const wire::EdgeTable& table) {
    std::set<uint32_t> ports;
    for (const wire::EdgeApp& app : table.apps()) {
        for (const wire::EdgePort& port : app.ports()) {
            if (port.service_port() != 0 && !port.groups().empty()) ports.insert(port.service_port());
        }
    }
    if (ports == service_ports_) return;
    service_ports_ = std::move(ports);
    if (!std::exchange(setting_ports_, true)) scope_.spawn(set_service_ports());
}

net::Task<void> AppsThread::set_service_ports() {
    std::set<uint32_t> told;
    do {
        told = service_ports_;
        auto done = co_await runner_->set_blocked({}, {told.begin(), told.end()});
        if (!done)
            environment_.logger.warning("opening service ports to tasks", {{"error", done.error().message}});
    } while (told != service_ports_ && !scope_.cancelled());
    setting_ports_ = false;
}

net::Task<Result<agent::LogPiece>> AppsThread::read_log(net::Loop& caller, std::string task,
                                                        agent::LogStream stream, uint64_t offset,
                                                        size_t length) {
    auto piece = co_await await_foreign<agent::LogPiece>(caller, [&](auto done) {
        thread_.loop().post(
            [this, task, stream, offset, length, done = std::move(done)]() mutable {
                if (runner_ == nullptr) {
                    done(core::fail(core::Errc::kUnavailable, "this node runs no tasks"));
                } else {
                    done(runner_->read_log(task, stream, offset, length));
                }
            },
            "log");
    });
    co_return piece;
}

}  // namespace smackd::cmd
