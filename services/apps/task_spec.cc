#include "services/apps/task_spec.h"

#include <algorithm>

#include "core/apps/task_rules.h"
#include "core/marathon/timestamp.h"
#include "core/policy.h"

namespace smackd::services {

using core::Errc;
using core::Result;

namespace {

using Variables = std::vector<std::pair<std::string, std::string>>;

/// Runs of other characters become one underscore; upper case.
std::string variable_name(std::string_view text) {
    std::string name;
    for (const char c : text) {
        const bool plain = (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
        if (c >= 'a' && c <= 'z') {
            name += static_cast<char>(c - 32);
        } else if (plain) {
            name += c;
        } else if (!name.ends_with('_')) {
            name += '_';
        }
    }
    return name;
}

std::string decimal(uint64_t thousandths) {
    std::string text = std::format("{}.{:03}", thousandths / 1000, thousandths % 1000);
    while (text.ends_with('0') && !text.ends_with(".0")) text.pop_back();
    return text;
}

std::string mebibytes(uint64_t bytes) {
    return decimal(bytes * 1000 / (1024 * 1024));
}

/// As the task sees it; what most images have as a link goes by what that leads to.
std::string place_of(const wire::Volume& volume) {
    constexpr std::string_view kLinked = "/var/run";
    const std::string& path = volume.container_path();
    if (!path.starts_with('/')) return std::format("{}/{}", kSandboxPath, path);
    return core::path_covers(kLinked, path) ? "/run" + path.substr(kLinked.size()) : path;
}

void add_identity(Variables& variables, const wire::AppDefinition& app, const SpecFacts& facts) {
    if (facts.identity.empty()) return;
    const std::string_view path = identity_path_of(app);
    variables.emplace_back("SMACKD_TOKEN_FILE", std::format("{}/token", path));
    variables.emplace_back("SMACKD_SOCKET", std::format("{}/api.sock", path));
}

void add_labels(Variables& variables, const wire::AppDefinition& app) {
    std::string names;
    for (const wire::Label& label : app.labels()) {
        if (label.key().size() >= kLabelInEnvironmentBytesMax ||
            label.value().size() >= kLabelInEnvironmentBytesMax)
            continue;
        names += (names.empty() ? "" : " ") + label.key();
        variables.emplace_back("MARATHON_APP_LABEL_" + variable_name(label.key()), label.value());
    }
    variables.emplace_back("MARATHON_APP_LABELS", names);
}

void add_context(Variables& variables, const wire::Task& task, const wire::AppDefinition& app,
                 const SpecFacts& facts) {
    const wire::Resources& resources = app.resources();
    variables.emplace_back("MESOS_TASK_ID", task.id());
    variables.emplace_back("MESOS_SANDBOX", kSandboxPath);
    variables.emplace_back("MESOS_FRAMEWORK_ID", "marathon");
    variables.emplace_back("MESOS_AGENT_ID", facts.agent_id);
    variables.emplace_back("MARATHON_APP_ID", app.id());
    variables.emplace_back("MARATHON_APP_VERSION", marathon::format_timestamp(app.version_ms()));
    if (!app.container().image().empty())
        variables.emplace_back("MARATHON_APP_DOCKER_IMAGE", app.container().image());
    variables.emplace_back("MARATHON_APP_RESOURCE_CPUS", decimal(resources.cpus_milli()));
    variables.emplace_back("MARATHON_APP_RESOURCE_MEM", mebibytes(resources.memory_bytes()));
    variables.emplace_back("MARATHON_APP_RESOURCE_DISK", mebibytes(resources.disk_bytes()));
    variables.emplace_back("MARATHON_APP_RESOURCE_GPUS", std::to_string(resources.gpus()));
    add_labels(variables, app);
}

/// The port of the definition that PORT_<n> is named after.
uint32_t requested_port(const wire::AppDefinition& app, const wire::Port& port) {
    const bool host = app.networks_size() > 0 && app.networks(0).mode() == wire::NETWORK_HOST;
    return host ? port.service_port() : port.container_port();
}

void add_ports(Variables& variables, const wire::Task& task, const wire::AppDefinition& app) {
    variables.emplace_back("HOST", task.machine());
    std::string list;
    for (int index = 0; index < app.ports_size(); ++index) {
        const wire::Port& port = app.ports(index);
        const uint32_t host_port = index < task.host_ports_size() ? task.host_ports(index) : 0;
        const std::string value = std::to_string(host_port != 0 ? host_port : port.container_port());
        if (index == 0) variables.emplace_back("PORT", value);
        variables.emplace_back(std::format("PORT{}", index), value);
        if (const uint32_t requested = requested_port(app, port); requested != 0)
            variables.emplace_back(std::format("PORT_{}", requested), value);
        if (!port.name().empty()) variables.emplace_back("PORT_" + variable_name(port.name()), value);
        list += (list.empty() ? "" : ",") + value;
    }
    if (!list.empty()) variables.emplace_back("PORTS", list);
}

Result<void> add_command(wire::TaskSpec& spec, const wire::AppDefinition& app, const SpecFacts& facts) {
    if (!app.cmd().empty()) {
        spec.set_shell(app.cmd());
        return {};
    }
    auto* words = spec.mutable_arguments();
    if (facts.image != nullptr) {
        for (const std::string& word : facts.image->entrypoint) words->add_words(word);
        if (app.args().empty()) {
            for (const std::string& word : facts.image->cmd) words->add_words(word);
        }
    }
    for (const std::string& word : app.args()) words->add_words(word);
    if (words->words().empty())
        return core::fail(Errc::kInvalid, "the app has neither cmd nor args, and the image names no command");
    return {};
}

void publish(wire::TaskNetwork& network, const wire::Port& port, uint32_t host_port) {
    if (host_port == 0) return;
    const uint32_t inside = port.container_port() != 0 ? port.container_port() : host_port;
    const auto add = [&](wire::PublishedPort::Protocol protocol) {
        wire::PublishedPort* published = network.add_ports();
        published->set_host_port(host_port);
        published->set_task_port(inside);
        published->set_protocol(protocol);
    };
    if (port.tcp() || !port.udp()) add(wire::PublishedPort::TCP);
    if (port.udp()) add(wire::PublishedPort::UDP);
}

void add_network(wire::TaskSpec& spec, const wire::Task& task, const wire::AppDefinition& app) {
    wire::TaskNetwork* network = spec.mutable_network();
    const bool host = app.networks_size() == 0 || app.networks(0).mode() == wire::NETWORK_HOST;
    network->set_mode(host ? wire::TaskNetwork::HOST : wire::TaskNetwork::BRIDGE);
    if (host) return;
    for (int index = 0; index < app.ports_size() && index < task.host_ports_size(); ++index)
        publish(*network, app.ports(index), task.host_ports(index));
}

Result<void> add_volumes(wire::TaskSpec& spec, const wire::AppDefinition& app, const SpecFacts& facts) {
    for (const wire::Volume& volume : app.container().volumes()) {
        if (volume.source_case() != wire::Volume::kHostPath) {
            return core::fail(Errc::kUnsupported,
                              "volume '{}': only host paths can be mounted on this version",
                              volume.container_path());
        }
        wire::TaskVolume* mounted = spec.add_volumes();
        const bool inside = !volume.host_path().starts_with('/');
        mounted->set_host_path(inside ? facts.sandbox + "/" + volume.host_path() : volume.host_path());
        mounted->set_create(inside);
        mounted->set_task_path(volume.container_path().starts_with('/')
                                   ? volume.container_path()
                                   : std::format("{}/{}", kSandboxPath, volume.container_path()));
        mounted->set_read_only(volume.read_only());
    }
    return {};
}

void add_limits(wire::TaskSpec& spec, const wire::AppDefinition& app) {
    wire::TaskLimits* limits = spec.mutable_limits();
    limits->set_cpus_milli(static_cast<uint32_t>(app.resources().cpus_milli()));
    if (app.limits().cpus_milli() != 0)
        limits->set_cpus_limit_milli(static_cast<uint32_t>(app.limits().cpus_milli()));
    const uint64_t memory = std::max(app.resources().memory_bytes(), app.limits().memory_bytes());
    limits->set_memory_bytes(app.limits().memory_unlimited() ? 0 : memory);
    limits->set_disk_bytes(app.resources().disk_bytes());
}

}  // namespace

std::string_view identity_path_of(const wire::AppDefinition& app) {
    if (apps::label_of(app, kIdentityLabel) == "none") return {};
    for (const std::string_view path : kIdentityPaths) {
        const bool taken = std::ranges::any_of(app.container().volumes(), [path](const wire::Volume& volume) {
            const std::string place = place_of(volume);
            return core::path_covers(place, path) || core::path_covers(path, place);
        });
        if (!taken) return path;
    }
    return {};
}

std::vector<std::pair<std::string, std::string>> environment_of(const wire::Task& task,
                                                                const wire::AppDefinition& app,
                                                                const SpecFacts& facts) {
    Variables variables;
    variables.emplace_back("PATH", kDefaultPath);
    if (facts.image != nullptr) {
        for (const std::string& variable : facts.image->environment) {
            const size_t equals = variable.find('=');
            if (equals != std::string::npos)
                variables.emplace_back(variable.substr(0, equals), variable.substr(equals + 1));
        }
    } else {
        variables.emplace_back("HOME", kSandboxPath);
    }
    add_context(variables, task, app, facts);
    add_ports(variables, task, app);
    add_identity(variables, app, facts);
    for (const wire::EnvironmentVariable& variable : app.env())
        variables.emplace_back(variable.name(), variable.plain());
    return variables;
}

Result<wire::TaskSpec> spec_of(const wire::Task& task, const wire::AppDefinition& app,
                               const SpecFacts& facts) {
    for (const wire::EnvironmentVariable& variable : app.env()) {
        if (variable.value_case() == wire::EnvironmentVariable::kSecret)
            return core::fail(Errc::kUnsupported,
                              "env '{}': secrets cannot be given to tasks on this version", variable.name());
    }
    wire::TaskSpec spec;
    spec.set_task_id(task.id());
    TRY(add_command(spec, app, facts));
    for (auto& [name, value] : environment_of(task, app, facts)) {
        wire::TaskVariable* variable = spec.add_environment();
        variable->set_name(name);
        variable->set_value(value);
    }
    spec.set_user(!app.user().empty() || facts.image == nullptr ? app.user() : facts.image->user);
    if (facts.image != nullptr) spec.set_working_directory(facts.image->working_directory);
    for (const std::string& layer : facts.layers) spec.add_rootfs(layer);
    spec.set_sandbox(facts.sandbox);
    spec.set_sandbox_path(std::string(kSandboxPath));
    if (!facts.identity.empty()) {
        spec.set_identity(facts.identity);
        spec.set_identity_path(std::string(identity_path_of(app)));
    }
    add_limits(spec, app);
    add_network(spec, task, app);
    TRY(add_volumes(spec, app, facts));
    spec.set_kill_grace_ms(app.has_kill_grace_ms() ? static_cast<uint32_t>(app.kill_grace_ms()) : 0);
    spec.set_privileged(app.container().privileged());
    spec.set_label(facts.image_id);
    spec.set_tty(app.tty());
    return spec;
}

wire::TaskStatus status_of_exit(const wire::TaskExited& exited) {
    wire::TaskStatus status;
    status.set_message(exited.message());
    if (exited.signal() != 0) status.set_signal(static_cast<int32_t>(exited.signal()));
    if (exited.signal() == 0) status.set_exit_code(static_cast<int32_t>(exited.code()));
    switch (exited.reason()) {
        case wire::TaskExited::KILLED:
            status.set_state(wire::TASK_KILLED);
            break;
        case wire::TaskExited::OUT_OF_MEMORY:
            status.set_state(wire::TASK_FAILED);
            status.set_reason("REASON_CONTAINER_LIMITATION_MEMORY");
            break;
        case wire::TaskExited::DISK_LIMIT:
            status.set_state(wire::TASK_FAILED);
            status.set_reason("REASON_CONTAINER_LIMITATION_DISK");
            break;
        case wire::TaskExited::MAX_RUNTIME:
            status.set_state(wire::TASK_FAILED);
            status.set_reason("REASON_MAX_COMPLETION_TIME_REACHED");
            break;
        case wire::TaskExited::LOST:
            status.set_state(wire::TASK_FAILED);
            status.set_reason("REASON_EXECUTOR_TERMINATED");
            break;
        case wire::TaskExited::LEASE_EXPIRED:
            status.set_state(wire::TASK_KILLED);
            status.set_reason("REASON_EXECUTOR_TERMINATED");
            break;
        default:
            status.set_state(exited.signal() == 0 && exited.code() == 0 ? wire::TASK_FINISHED
                                                                        : wire::TASK_FAILED);
            if (status.state() == wire::TASK_FAILED) status.set_reason("REASON_COMMAND_EXECUTOR_FAILED");
            break;
    }
    return status;
}

}  // namespace smackd::services
