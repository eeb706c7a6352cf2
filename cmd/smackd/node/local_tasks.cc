#include "cmd/smackd/node/local_tasks.h"

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>

#include "cmd/smackd/node/own_address.h"
#include "core/apps/overlay.h"
#include "core/wire/serialize.h"
#include "services/agent/bridge.h"
#include "services/agent/cgroups.h"
#include "services/apps/tenant_rows.h"
#include "storage/state/limits.h"

namespace smackd::cmd {

using core::Errc;
using core::Result;

namespace {

std::string program() {
    char buffer[4096];
    const ssize_t length = ::readlink("/proc/self/exe", buffer, sizeof buffer);
    return {buffer, length > 0 ? static_cast<size_t>(length) : 0};
}

Result<void> make_folder(const std::string& path, mode_t mode) {
    if (::mkdir(path.c_str(), mode) == 0 || errno == EEXIST) return {};
    return core::fail_errno(errno, path);
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

/// What every task needs of the machine.
Result<void> check_machine() {
    if (::geteuid() != 0)
        return core::fail(
            Errc::kDenied,
            "running tasks needs root, for namespaces and control groups; start smackd as root, "
            "or with --no-tasks");
    std::ifstream file("/proc/self/mountinfo");
    const std::string mounts{std::istreambuf_iterator<char>(file), {}};
    const agent::CgroupLayout layout = agent::parse_cgroup_layout(mounts);
    if (layout.controllers_on_v2 || layout.v1.contains("memory")) return {};
    return core::fail(Errc::kUnsupported,
                      "running tasks needs control groups (cgroup v2, or v1 with the memory controller), and "
                      "none are mounted");
}

/// What the machine has for tasks, where the configuration says nothing.
wire::Resources machine_resources(const std::string& directory) {
    wire::Resources total;
    total.set_cpus_milli(static_cast<uint64_t>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN))) * 1000);
    const auto memory =
        static_cast<uint64_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
    total.set_memory_bytes(memory - std::min(memory / 2, std::max(kMemoryKeptBytes, memory / 10)));
    struct statvfs disk{};
    if (::statvfs(directory.c_str(), &disk) == 0)
        total.set_disk_bytes(static_cast<uint64_t>(disk.f_blocks) * disk.f_frsize / 10 * 9);
    return total;
}

}  // namespace

LocalTasks::LocalTasks(LocalTasksOptions options, Environment environment)
    : options_(std::move(options)),
      environment_(std::move(environment)),
      scope_(environment_.loop),
      usage_(environment_.clock),
      tls_(environment_.loop, environment_.workers),
      ends_(options_.demo) {}

LocalTasks::~LocalTasks() = default;

net::Task<void> LocalTasks::start() {
    const bool complete = (!options_.tasks.run || agent_) && (!wants_edge() || edge_);
    if (complete && tried_) co_return;
    if (tried_ && environment_.clock.now() < again_) co_return;
    again_ = environment_.clock.now() + kTasksRetry;
    if (!std::exchange(tried_, true)) {
        address_ = options_.tasks.address;
        if (address_.empty() && !options_.demo) {
            auto found = co_await environment_.workers.run<std::string>(
                environment_.loop, [advertised = options_.identity.address]() -> Result<std::string> {
                    return find_own_address(advertised);
                });
            address_ = found.value_or("");
        }
    }
    if (!options_.tasks.run) {
        note("this node is told not to run tasks (tasks.run)");
    } else if (!agent_) {
        auto started = co_await start_tasks();
        note(started ? "" : started.error().message);
    }
    if (!wants_edge() || edge_) co_return;
    if (auto started = start_edge(); !started)
        environment_.logger.error("alarm edge", {{"what", started.error().message}});
}

/// The alarm of a node that shall run tasks and cannot, once for each reason.
void LocalTasks::note(std::string problem) {
    if (problem == problem_) return;
    problem_ = std::move(problem);
    if (!options_.tasks.run) return environment_.logger.info("no tasks", {{"why", problem_}});
    if (problem_.empty()) return environment_.logger.info("alarm over", {{"alarm", "tasks"}});
    environment_.logger.error("alarm tasks", {{"what", problem_}});
}

net::Task<Result<void>> LocalTasks::start_tasks() {
    CO_TRY(check_machine());
    if (runner_ == nullptr) {
        agent::RunnerOptions options;
        options.directory = options_.directory.agent();
        options.network = options_.tasks.network;
        options.overlay = takes_part();
        if (options.overlay && options_.tasks.encryption != TaskEncryption::kOff)
            options.wireguard_port = options_.tasks.wireguard_port;
        options.logger = environment_.logger.named("tasks");
        CO_TRY_ASSIGN(runner_, co_await agent::TaskRunner::start(environment_.loop, std::move(options)));
        if (takes_part() && options_.tasks.encryption == TaskEncryption::kOn &&
            runner_->wireguard_key().empty())
            environment_.logger.error("alarm network",
                                      {{"what",
                                        "tasks.encryption is on, and this kernel has no WireGuard: tasks of "
                                        "other nodes are not reached"}});
    }
    if (images_ == nullptr) CO_TRY(co_await start_images());
    if (identities_ == nullptr) CO_TRY(start_identities());
    const std::string sandboxes = options_.directory.agent() + "/sandboxes";
    CO_TRY(make_folder(sandboxes, 0711));
    services::Agent::Parts parts{
        environment_.loop,
        *runner_,
        image_source_.get(),
        &tls_,
        environment_.clock,
        core::NodeId{options_.identity.node_id},
        sandboxes,
        environment_.logger.named("agent"),
        [this](wire::Command command) { return environment_.propose(std::move(command)); },
        [this](std::string task) { return release(std::move(task)); },
        [this] { tell_edge_soon(); },
        [this] { return environment_.own_tasks(); },
        identities_.get()};
    agent_ = std::make_unique<services::Agent>(std::move(parts));
    co_return Result<void>();
}

Result<void> LocalTasks::start_identities() {
    const std::string directory = options_.directory.runtime() + "/tasks";
    TRY(make_folder(options_.directory.runtime(), 0700));
    TRY(make_folder(directory, 0700));
    identities_ = std::make_unique<TaskIdentities>(TaskIdentities::Environment{
        environment_.loop, environment_.sockets, environment_.clock, environment_.logger.named("identity"),
        directory, [this](std::string_view call, core::Bytes request, auto done) {
            environment_.ask_for_task(call, std::move(request), std::move(done));
        }});
    std::set<std::string> running;
    for (const wire::LocalTask& task : runner_->list()) {
        if (task.phase() != wire::LocalTask::ENDED) running.insert(task.task_id());
    }
    identities_->sweep(std::move(running));
    return {};
}

net::Task<Result<void>> LocalTasks::start_images() {
    services::images::ImagesOptions images;
    images.directory = options_.directory.path() + "/images";
    images.insecure_registries = options_.insecure_registries;
    images.allowed_addresses = options_.allowed_addresses;
    CO_TRY_ASSIGN(images_, services::images::Images::open(
                               {environment_.loop, environment_.workers, tls_, environment_.disk,
                                environment_.clock, environment_.logger.named("images")},
                               std::move(images)));
    image_source_ = std::make_unique<NodeImages>(*images_);
    co_return Result<void>();
}

Result<void> LocalTasks::start_edge() {
    if (::geteuid() != 0)
        return core::fail(Errc::kDenied,
                          "the edge needs root, to listen on ports below 1024 and to become a "
                          "user of its own");
    TRY(make_folder(options_.directory.agent(), 0700));
    const std::string root = options_.directory.agent() + "/edge";
    TRY(make_folder(root, 0755));
    TRY(make_folder(options_.directory.runtime(), 0700));
    edge_ =
        std::make_unique<EdgeProcess>(environment_.loop, program(), root, options_.directory.edge_socket(),
                                      environment_.logger.named("edge"));
    EdgeCertificates::Environment certificates{environment_.loop,
                                               environment_.workers,
                                               environment_.clock,
                                               environment_.logger.named("edge"),
                                               [this](wire::EdgeCertificateRequest request) {
                                                   return environment_.certificates(std::move(request));
                                               },
                                               [this] { tell_edge_soon(); }};
    certificates_ = std::make_unique<EdgeCertificates>(options_.edge.config.certificates,
                                                       options_.directory.agent() + "/edge-certificates",
                                                       std::move(certificates));
    return {};
}

net::Task<Result<void>> LocalTasks::release(std::string task) {
    if (edge_ == nullptr) co_return Result<void>();
    if (edge_behind_) tell_edge();  // that the task gets no new requests
    co_return co_await edge_->release(std::move(task));
}

void LocalTasks::look(const services::AppsModel& model, core::NodeId leader,
                      const services::Definitions& definitions) {
    model_ = &model;
    leader_ = leader;
    look_at_machine();
    if (must_announce() && !std::exchange(announcing_, true)) scope_.spawn(announce());
    tell_images();
    tell_network();
    tell_edge_soon();  // what is to end gets no more requests: release() sees to it
    if (agent_) agent_->look(model, definitions);
}

net::Task<void> LocalTasks::close() {
    if (agent_) co_await agent_->close();
    if (certificates_) co_await certificates_->close();
    co_await scope_.close();
    if (ends_ && runner_) co_await end_tasks();
    if (images_) co_await images_->close();
    if (edge_ && ends_) edge_->end();
    edge_.reset();
    if (identities_ && ends_) identities_->sweep({});
    if (identities_) co_await identities_->close();
    if (runner_) co_await runner_->close();
    if (ends_ && runner_) {
        auto removed = agent::remove_bridge(agent::agent_name(options_.directory.agent()));
        if (!removed)
            environment_.logger.warning("removing the bridge", {{"error", removed.error().message}});
    }
    agent_.reset();
    identities_.reset();
    runner_.reset();
    image_source_.reset();
    images_.reset();
}

/// How each of them ended is told when the node starts again.
net::Task<void> LocalTasks::end_tasks() {
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
        auto slept = co_await net::sleep(environment_.loop, core::milliseconds(20));
        if (!slept) co_return;
    }
}

// ---- what the node has for tasks

std::string LocalTasks::host_address() const {
    if (!address_.empty()) return address_;
    return runner_ ? runner_->gateway() : "";
}

wire::NodeCapacity LocalTasks::capacity() const {
    wire::NodeCapacity capacity;
    capacity.set_node_id(options_.identity.node_id);
    capacity.set_address(host_address());
    capacity.set_region(options_.tasks.region);
    add_network(capacity);
    // Without anything nothing is placed here, and what was is replaced elsewhere. Ports say that tasks
    // should run all the same: an alarm of `smackd status`.
    capacity.set_draining(agent_ == nullptr);
    if (!options_.tasks.run) return capacity;
    for (const apps::PortRange& range : options_.tasks.ports) {
        wire::PortRange* ports = capacity.add_ports();
        ports->set_first(range.first);
        ports->set_last(range.last);
    }
    capacity.set_host_network(true);
    if (agent_ == nullptr) return capacity;
    wire::Resources* total = capacity.mutable_total();
    *total = machine_;
    if (options_.tasks.cpus_milli) total->set_cpus_milli(*options_.tasks.cpus_milli);
    if (options_.tasks.memory_bytes) total->set_memory_bytes(*options_.tasks.memory_bytes);
    if (options_.tasks.disk_bytes) total->set_disk_bytes(*options_.tasks.disk_bytes);
    return capacity;
}

/// Whether the state says something else. Of a node that never had tasks nothing needs to be said.
bool LocalTasks::must_announce() const {
    if (!tried_ || !model_->nodes.contains(options_.identity.node_id)) return false;
    const auto row = model_->capacities.find(options_.identity.node_id);
    if (row == model_->capacities.end()) return options_.tasks.run || wants_edge();
    return wire::serialize(row->second) != wire::serialize(capacity());
}

// ---- tasks of other nodes

/// Whether this node is to reach tasks of others by address; a demo has no others.
bool LocalTasks::takes_part() const {
    return options_.tasks.run && options_.tasks.vxlan_port != 0 && !options_.demo && !options_.behind_nat;
}

void LocalTasks::add_network(wire::NodeCapacity& capacity) const {
    if (runner_ == nullptr || !options_.tasks.run || options_.demo) return;
    capacity.set_task_subnet(runner_->subnet());
    wire::NodeNetwork network;
    if (options_.behind_nat) {
        network.add_problems(
            "it is behind NAT (node.gossip = stream): others do not reach its tasks by address");
    }
    if (takes_part()) {
        if (overlay_failure_.empty()) network.set_vxlan_port(options_.tasks.vxlan_port);
        network.set_encrypted_only(options_.tasks.encryption == TaskEncryption::kOn);
        network.set_wireguard_key(runner_->wireguard_key());
        if (!runner_->wireguard_key().empty()) network.set_wireguard_port(options_.tasks.wireguard_port);
        for (const std::string& problem : network_problems_) network.add_problems(problem);
    }
    apps::set_network(capacity, network);
}

wire::LauncherNetwork LocalTasks::network_of(const apps::Overlay& overlay) const {
    wire::LauncherNetwork network;
    if (takes_part() && !overlay.peers.empty()) {
        network.set_vni(apps::overlay_vni(options_.identity.cluster_id));
        network.set_port(options_.tasks.vxlan_port);
        network.set_address(host_address());
        for (const auto& [id, peer] : overlay.peers) *network.add_peers() = peer;
    }
    const apps::Tenants tenants = services::tenants_of(*model_);
    const auto numbers = tenants.numbers();
    for (const auto& [pair, ports] : tenants.allowances()) {
        for (const apps::TenantPort& port : ports) {
            wire::TenantAllowance& one = *network.add_allowed();
            one.set_from(numbers.at(pair.first));
            one.set_to(numbers.at(pair.second));
            one.set_port(port.port);
            if (port.udp) one.set_protocol(wire::PublishedPort::UDP);
        }
    }
    return network;
}

/// Whenever what the state says of other nodes and of tenants has changed.
void LocalTasks::tell_network() {
    if (runner_ == nullptr) return;
    const apps::OverlayRows rows{model_->nodes, model_->capacities, model_->machines};
    apps::Overlay overlay = apps::overlay_of(rows, core::NodeId{options_.identity.node_id});
    if (overlay.subnet_lost && !std::exchange(leaving_subnet_, true)) scope_.spawn(leave_subnet());
    wire::LauncherNetwork network = network_of(overlay);
    overlay_problems_ = std::move(overlay.problems);
    connected_.clear();
    for (const auto& [id, peer] : overlay.peers) connected_.insert(id);
    if (network_told_ && wire::serialize(network) == wire::serialize(network_)) return note_network();
    network_ = std::move(network);
    network_told_ = false;
    if (!std::exchange(setting_network_, true)) scope_.spawn(set_network());
}

net::Task<void> LocalTasks::set_network() {
    while (!network_told_ && !scope_.cancelled()) {
        network_told_ = true;
        auto problems = co_await runner_->set_network(network_);
        if (problems) {
            launcher_problems_ = std::move(*problems);
            note_network();
            continue;
        }
        if (problems.error().code == Errc::kUnsupported) {
            // Others are to know, and go on with published ports; until this process ends.
            overlay_failure_ = problems.error().message;
            note_network();
            continue;
        }
        network_told_ = false;
        environment_.logger.warning("reaching tasks of other nodes", {{"error", problems.error().message}});
        auto slept = co_await net::sleep(environment_.loop, kAnnounceRetry);
        if (!slept) break;
    }
    setting_network_ = false;
}

/// Each problem once in the log, all of them in the state.
void LocalTasks::note_network() {
    std::vector<std::string> problems = overlay_problems_;
    if (!overlay_failure_.empty()) problems = {overlay_failure_};
    problems.insert(problems.end(), launcher_problems_.begin(), launcher_problems_.end());
    if (problems == network_problems_) return;
    for (const std::string& problem : problems) {
        if (!std::ranges::contains(network_problems_, problem))
            environment_.logger.error("alarm network", {{"what", problem}});
    }
    if (problems.empty()) environment_.logger.info("alarm over", {{"alarm", "network"}});
    network_problems_ = std::move(problems);
    if (must_announce() && !std::exchange(announcing_, true)) scope_.spawn(announce());
}

/// Another node has this one's subnet. Tasks that run keep their addresses; the change comes when they have
/// ended.
net::Task<void> LocalTasks::leave_subnet() {
    bool told = false;
    while (!scope_.cancelled()) {
        std::vector<core::Ipv4Prefix> taken;
        for (const auto& [id, capacity] : model_->capacities) {
            const auto subnet = core::parse_ipv4_prefix(capacity.task_subnet());
            if (subnet && id != options_.identity.node_id) taken.push_back(*subnet);
        }
        auto changed = co_await runner_->choose_subnet(std::move(taken));
        if (changed) break;
        if (!std::exchange(told, true))
            environment_.logger.error("alarm network", {{"what",
                                                         "another node has this one's subnet for tasks; it "
                                                         "takes another one when its tasks have ended"},
                                                        {"why", changed.error().message}});
        auto slept = co_await net::sleep(environment_.loop, kMachineLook);
        if (!slept) break;
    }
    leaving_subnet_ = false;
    environment_.logger.info("subnet of tasks", {{"subnet", runner_->subnet()}});
    if (must_announce() && !std::exchange(announcing_, true)) scope_.spawn(announce());
    tell_edge_soon();
}

net::Task<void> LocalTasks::announce() {
    while (must_announce()) {
        auto told = co_await announce_once();
        if (scope_.cancelled()) break;
        if (!told) environment_.logger.debug("telling what this node has", {{"error", told.error().message}});
        // What was told takes a moment until it is in the model.
        auto slept = co_await net::sleep(environment_.loop, kAnnounceRetry);
        if (!slept) break;
    }
    announcing_ = false;
}

net::Task<Result<void>> LocalTasks::announce_once() {
    wire::Command command;
    command.set_feature_level(storage::state::kLevelOfApps);
    *command.add_changes()->mutable_put_node_capacity()->mutable_capacity() = capacity();
    CO_TRY_ASSIGN(const wire::CommandResult result, co_await environment_.propose(std::move(command)));
    if (result.code() != 0) co_return core::fail(static_cast<Errc>(result.code()), "{}", result.message());
    co_return Result<void>();
}

/// What users name must not lead to the ports of nodes.
void LocalTasks::tell_images() {
    if (images_ == nullptr) return;
    std::vector<std::string> addresses;
    for (const auto& [id, capacity] : model_->capacities) addresses.push_back(capacity.address());
    for (const auto& [id, node] : model_->nodes) {
        const std::string& address = node.address();
        addresses.push_back(address.substr(0, address.rfind(':')));
    }
    if (addresses == node_addresses_) return;
    node_addresses_ = std::move(addresses);
    images_->set_node_addresses(node_addresses_);
}

// ---- the edge

void LocalTasks::look_at_machine() {
    const core::Instant now = environment_.clock.now();
    if (machine_seen_ && now - *machine_seen_ < kMachineLook) return;
    machine_seen_ = now;
    machine_ = machine_resources(options_.directory.path());
    options_.edge.name_servers = system_name_servers();
}

void LocalTasks::tell_edge_soon() {
    edge_behind_ = true;
    if (std::exchange(telling_edge_, true)) return;
    scope_.spawn([](LocalTasks& self) -> net::Task<void> {
        const core::Duration pause = self.edge_pause_end_ - self.environment_.clock.now();
        auto slept = co_await net::sleep(self.environment_.loop, std::max(pause, core::Duration(0)));
        self.telling_edge_ = false;
        if (slept && self.edge_behind_) self.tell_edge();
    }(*this));
}

void LocalTasks::tell_edge() {
    if (edge_ == nullptr || model_ == nullptr) return;
    const core::Instant began = environment_.clock.now();
    edge_behind_ = false;
    look_at_machine();
    services::EdgeFacts facts;
    facts.self = core::NodeId{options_.identity.node_id};
    facts.settings = edge_settings(
        options_.edge,
        {facts.self, host_address(), runner_ ? runner_->gateway() : "", runner_ ? runner_->subnet() : ""},
        *model_);
    facts.leader = leader_;
    if (agent_) facts.statuses = agent_->statuses();
    facts.connected = connected_;
    wire::EdgeTable table = services::edge_table(*model_, facts);
    add_certificates(table);
    open_service_ports(table);
    edge_->update(std::move(table));
    const core::Instant end = environment_.clock.now();
    edge_pause_end_ = end + kEdgeTablePauses * (end - began);
}

void LocalTasks::add_certificates(wire::EdgeTable& table) {
    std::set<std::string> hosts;
    for (const wire::EdgeApp& app : table.apps()) {
        for (const wire::EdgePort& port : app.ports()) {
            for (const wire::EdgeRoute& route : port.routes()) hosts.insert(route.host());
        }
    }
    certificates_->look(std::move(hosts));
    certificates_->fill(table);
}

uint32_t port_of(const std::string& listener) {
    uint32_t port = 0;
    const size_t colon = listener.rfind(':');
    if (colon != std::string::npos)
        std::from_chars(listener.data() + colon + 1, listener.data() + listener.size(), port);
    return port;
}

/// Tasks, of whichever node, reach service ports, virtual hosts and tasks in host mode of a node, whatever
/// else of it is closed to them.
void LocalTasks::open_service_ports(const wire::EdgeTable& table) {
    if (runner_ == nullptr) return;
    std::set<uint32_t> ports;
    std::set<uint32_t> udp_ports;
    for (const wire::EdgeGroup& group : table.settings().groups()) {
        for (const auto* listeners : {&group.http_listeners(), &group.https_listeners()}) {
            for (const std::string& listener : *listeners) ports.insert(port_of(listener));
        }
    }
    ports.erase(0);
    const std::string own = services::edge_agent_name(core::NodeId{options_.identity.node_id});
    for (const wire::EdgeTask& task : table.tasks()) {
        if (task.agent() != own || !task.running()) continue;
        for (const wire::EdgeTaskPort& port : task.ports()) {
            if (port.container_port() != 0 || port.host_port() == 0) continue;  // published
            if (port.protocol().contains("tcp")) ports.insert(port.host_port());
            if (port.protocol().contains("udp")) udp_ports.insert(port.host_port());
        }
    }
    for (const wire::EdgeApp& app : table.apps()) {
        for (const wire::EdgePort& port : app.ports()) {
            if (port.service_port() != 0 && !port.groups().empty()) ports.insert(port.service_port());
        }
    }
    if (ports == service_ports_ && udp_ports == host_udp_ports_) return;
    service_ports_ = std::move(ports);
    host_udp_ports_ = std::move(udp_ports);
    if (!std::exchange(setting_ports_, true)) scope_.spawn(set_service_ports());
}

net::Task<void> LocalTasks::set_service_ports() {
    std::set<uint32_t> told;
    std::set<uint32_t> told_udp;
    do {
        told = service_ports_;
        told_udp = host_udp_ports_;
        auto done =
            co_await runner_->set_blocked({}, {told.begin(), told.end()}, {told_udp.begin(), told_udp.end()});
        if (!done)
            environment_.logger.warning("opening service ports to tasks", {{"error", done.error().message}});
    } while ((told != service_ports_ || told_udp != host_udp_ports_) && !scope_.cancelled());
    setting_ports_ = false;
}

Result<agent::LogPiece> LocalTasks::read_log(const std::string& task, agent::LogStream stream,
                                             uint64_t offset, size_t length) {
    if (runner_ == nullptr) return core::fail(Errc::kUnavailable, "this node runs no tasks");
    return runner_->read_log(task, stream, offset, length);
}

net::Task<Result<std::unique_ptr<agent::ExecSession>>> LocalTasks::exec(std::string task,
                                                                        wire::ShimExec what) {
    if (runner_ == nullptr) co_return core::fail(Errc::kUnavailable, "this node runs no tasks");
    co_return co_await runner_->exec(std::move(task), std::move(what));
}

}  // namespace smackd::cmd
