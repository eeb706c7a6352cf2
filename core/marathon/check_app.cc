// The rules between the fields of an application. A definition that passes here is one that can be run.
#include <algorithm>
#include <charconv>
#include <format>
#include <set>

#include "core/apps/pattern.h"
#include "core/apps/routes.h"
#include "core/marathon/path_id.h"
#include "core/marathon/read_app.h"

namespace smackd::marathon {

using wire::AppDefinition;
using wire::Constraint;
using wire::Container;
using wire::Port;

namespace {

class AppRules {
 public:
    AppRules(const AppDefinition& app, const std::string& path, Violations& violations)
        : app_(app), path_(path), violations_(violations) {}

    void check() {
        check_id();
        check_command();
        check_resources();
        check_secrets();
        check_container();
        check_networks();
        check_ports();
        check_health();
        check_readiness();
        check_constraints();
        check_roles();
        check_dependencies();
        check_strategies();
        check_labels();
        if (app_.ByteSizeLong() > kDefinitionBytesMax)
            wrong("", std::format("is too large: at most {} bytes are kept", kDefinitionBytesMax));
    }

 private:
    void wrong(std::string_view place, std::string error) {
        violations_.add(path_ + std::string(place), std::move(error));
    }
    std::string at(std::string_view list, int index) const {
        return Fields::at(std::string(list), static_cast<size_t>(index));
    }

    void check_id();
    void check_command();
    void check_resources();
    void check_secrets();
    void check_container();
    void check_volume(const wire::Volume& volume, const std::string& place);
    void check_persistent(const wire::PersistentVolume& volume, const std::string& place);
    void check_networks();
    void check_ports();
    void check_port_networks(const Port& port, const std::string& place);
    void check_health();
    void check_health_port(const wire::HealthCheck& check, const std::string& place);
    void check_readiness();
    void check_constraints();
    void check_roles();
    void check_dependencies();
    void check_strategies();
    void check_single_instance();
    void check_labels();

    bool is_host() const { return app_.networks_size() > 0 && app_.networks(0).mode() == wire::NETWORK_HOST; }
    std::string_view port_list() const { return is_host() ? "/portDefinitions" : "/container/portMappings"; }
    bool has_secret(std::string_view name) const {
        return std::ranges::any_of(app_.secrets(), [&](const auto& secret) { return secret.name() == name; });
    }
    std::string_view label(std::string_view key) const {
        for (const wire::Label& one : app_.labels()) {
            if (one.key() == key) return one.value();
        }
        return "";
    }

    const AppDefinition& app_;
    const std::string& path_;
    Violations& violations_;
};

bool is_port_name(std::string_view name) {
    const auto word = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
    return !name.empty() && word(name.front()) && word(name.back()) &&
           std::ranges::all_of(name, [&](char c) { return word(c) || c == '-'; });
}

bool is_whole_number(const std::string& text) {
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size() && value > 0 && value <= kInstancesMax;
}

void AppRules::check_id() {
    if (app_.id().empty()) return;  // noted when it was read
    const auto absolute = resolve_app_id(app_.id());
    if (!absolute) return wrong("/id", absolute.error().message);
    if (*absolute != app_.id()) wrong("/id", "must be absolute and normal: " + *absolute);
}

void AppRules::check_command() {
    const bool runs_image = app_.has_container() && (!app_.container().image().empty() ||
                                                     app_.container().type() == Container::MESOS);
    const bool cmd = !app_.cmd().empty();
    const bool args = app_.args_size() > 0;
    if (cmd && args) wrong("", "AppDefinition must not contain both 'cmd' and 'args'.");
    if (!cmd && !args && !runs_image)
        wrong("", "AppDefinition must either contain one of 'cmd' or 'args', and/or a 'container'.");
    constexpr std::string_view kDockerExecutor = "//cmd";
    const std::string& executor = app_.executor();
    if (executor.starts_with("//") && executor != kDockerExecutor)
        wrong("/executor", "must be empty, '//cmd' or the path of an executable");
}

void AppRules::check_resources() {
    const wire::Resources& request = app_.resources();
    const wire::ResourceLimits& limits = app_.limits();
    if (request.gpus() > 0 && app_.has_container() && app_.container().type() == Container::DOCKER)
        wrong("/gpus", "GPU resources only work with the Mesos containerizer: container type MESOS");
    if (limits.cpus_milli() > 0 && limits.cpus_milli() < request.cpus_milli())
        wrong("/resourceLimits/cpus", "must be at least cpus");
    if (limits.memory_bytes() > 0 && limits.memory_bytes() < request.memory_bytes())
        wrong("/resourceLimits/mem", "must be at least mem");
}

void AppRules::check_secrets() {
    for (const wire::EnvironmentVariable& variable : app_.env()) {
        if (variable.has_secret() && !has_secret(variable.secret()))
            wrong("/env/" + variable.name(), "references an undefined secret: " + variable.secret());
    }
    const std::string& pull = app_.container().pull_secret();
    if (!pull.empty() && !has_secret(pull))
        wrong("/container/docker/pullConfig/secret", "references an undefined secret: " + pull);
}

void AppRules::check_container() {
    if (!app_.has_container()) return;
    const Container& container = app_.container();
    const bool docker = container.type() == Container::DOCKER;
    if (docker && container.image().empty())
        wrong("/container/docker", "must be given for container type DOCKER");
    if (docker && !container.pull_secret().empty())
        wrong("/container/docker/pullConfig", "is only supported by container type MESOS");
    if (!docker && container.privileged())
        wrong("/container/docker/privileged", "is only supported by container type DOCKER");
    if (!docker && container.parameters_size() > 0)
        wrong("/container/docker/parameters", "are only supported by container type DOCKER");
    if (container.seccomp_unconfined() && !container.seccomp_profile().empty())
        wrong("/container/linuxInfo/seccomp", "must not have a profileName when unconfined");
    if (container.shm_bytes() > 0 && container.ipc_shared())
        wrong("/container/linuxInfo/ipcInfo", "must not have a shmSize with mode SHARE_PARENT");
    std::set<std::string> external;
    for (int i = 0; i < container.volumes_size(); ++i) {
        const wire::Volume& volume = container.volumes(i);
        const std::string place = at("/container/volumes", i);
        check_volume(volume, place);
        if (volume.has_external() && !external.insert(volume.external().name()).second)
            wrong(place + "/external/name", "must be unique: " + volume.external().name());
    }
}

void AppRules::check_volume(const wire::Volume& volume, const std::string& place) {
    const std::string& path = volume.container_path();
    if (path == "." || path == ".." || path.starts_with("../") || path.ends_with("/..") ||
        path.contains("/../"))
        wrong(place + "/containerPath", "must not lead out by '..'");
    if (volume.has_host_path() && !volume.host_path().starts_with('/'))
        wrong(place + "/hostPath", "must be absolute");
    if (volume.has_secret() && !has_secret(volume.secret()))
        wrong(place + "/secret", "references an undefined secret: " + volume.secret());
    if (volume.has_external() && volume.external().provider() != "dvdi" &&
        volume.external().provider() != "csi")
        wrong(place + "/external/provider", "must be one of dvdi, csi");
    if (!volume.has_persistent()) return;
    if (path.contains('/')) wrong(place + "/containerPath", "must not contain \"/\"");
    if (volume.read_only()) wrong(place + "/mode", "must be RW for a persistent volume");
    check_persistent(volume.persistent(), place + "/persistent");
}

void AppRules::check_persistent(const wire::PersistentVolume& volume, const std::string& place) {
    const bool mount = volume.type() == wire::PersistentVolume::MOUNT;
    if (volume.max_size_bytes() > 0 && !mount) wrong(place + "/maxSize", "is only for type mount");
    if (volume.max_size_bytes() > 0 && volume.max_size_bytes() <= volume.size_bytes())
        wrong(place + "/maxSize", "must be more than size");
    if (volume.constraints_size() > 0 && volume.type() == wire::PersistentVolume::ROOT)
        wrong(place + "/constraints", "are not for type root");
    for (int i = 0; i < volume.constraints_size(); ++i) {
        const Constraint& constraint = volume.constraints(i);
        const bool like = constraint.op() == Constraint::LIKE || constraint.op() == Constraint::UNLIKE;
        if (constraint.field() != "path" || !like || !constraint.has_value())
            wrong(at(place + "/constraints", i), "must be path with LIKE or UNLIKE and a value");
    }
}

void AppRules::check_networks() {
    if (app_.networks_size() == 0) return wrong("/networks", "must not be empty");
    std::set<std::string> names;
    bool container_only = true;
    for (int i = 0; i < app_.networks_size(); ++i) {
        const wire::Network& network = app_.networks(i);
        const std::string place = at("/networks", i);
        if (network.mode() == wire::NETWORK_CONTAINER) {
            if (!names.insert(network.name()).second) wrong(place + "/name", "must be unique");
            continue;
        }
        container_only = false;
        const std::string mode = network.mode() == wire::NETWORK_HOST ? "host" : "container/bridge";
        if (!network.name().empty()) wrong(place + "/name", "is not allowed for mode " + mode);
        if (network.mode() == wire::NETWORK_HOST && network.labels_size() > 0)
            wrong(place + "/labels", "are not allowed for mode host");
    }
    if (app_.networks_size() == 1) return;
    if (!container_only)
        wrong("/networks",
              "must be one network of mode host, or one of mode container/bridge, or one or more of mode "
              "container");
    if (app_.has_container() && app_.container().type() == Container::DOCKER)
        wrong("/networks", "may only have one element for container type DOCKER");
}

void AppRules::check_ports() {
    std::set<std::string> names;
    std::set<std::pair<uint32_t, bool>> numbers;
    for (int i = 0; i < app_.ports_size(); ++i) {
        const Port& port = app_.ports(i);
        const std::string place = at(port_list(), i);
        if (!port.name().empty()) {
            if (!is_port_name(port.name()))
                wrong(place + "/name",
                      "must fully match regular expression '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$'");
            if (!names.insert(port.name()).second)
                wrong(std::string(port_list()), "Port names must be unique.");
        }
        // Host ports of both kinds: the definition's own where it is asked for.
        const uint32_t number = is_host() ? port.service_port() : port.host_port();
        for (const bool udp : {false, true}) {
            if (number > 0 && (udp ? port.udp() : port.tcp()) && !numbers.insert({number, udp}).second)
                wrong(std::string(port_list()), "Ports must be unique.");
        }
        if (!is_host()) check_port_networks(port, place);
    }
}

void AppRules::check_port_networks(const Port& port, const std::string& place) {
    if (port.has_host_port() && app_.networks_size() > 1 && port.network_names_size() != 1)
        wrong(place + "/networkNames",
              "must have exactly one name: hostPort is given and there are several networks");
    for (const std::string& name : port.network_names()) {
        const bool known =
            std::ranges::any_of(app_.networks(), [&](const auto& one) { return one.name() == name; });
        if (!known) wrong(place + "/networkNames", "names a network the app is not in: " + name);
    }
}

void AppRules::check_health() {
    int mesos = 0;
    for (int i = 0; i < app_.health_checks_size(); ++i) {
        const wire::HealthCheck& check = app_.health_checks(i);
        const std::string place = at("/healthChecks", i);
        const bool in_task = check.protocol() >= wire::CHECK_MESOS_HTTP;
        mesos += in_task;
        if (check.protocol() != wire::CHECK_COMMAND) check_health_port(check, place);
        const bool docker = app_.has_container() && app_.container().type() == Container::DOCKER;
        if (check.ipv6() && (!in_task || !docker))
            wrong(place + "/ipProtocol", "IPv6 is only for MESOS_* health checks of container type DOCKER");
    }
    if (mesos > 1) wrong("/healthChecks", "AppDefinition can contain at most one Mesos health check");
}

void AppRules::check_health_port(const wire::HealthCheck& check, const std::string& place) {
    if (check.has_port() || check.port_index() < static_cast<uint32_t>(app_.ports_size())) return;
    wrong(place,
          "Health check port indices must address an element of the ports array or container port mappings.");
}

void AppRules::check_readiness() {
    if (app_.readiness_checks_size() > 1) wrong("/readinessChecks", "must not have more than one element");
    for (int i = 0; i < app_.readiness_checks_size(); ++i) {
        const wire::ReadinessCheck& check = app_.readiness_checks(i);
        const std::string place = at("/readinessChecks", i);
        const bool known = std::ranges::any_of(
            app_.ports(), [&](const Port& port) { return port.name() == check.port_name(); });
        if (!known)
            wrong(place + "/portName",
                  std::format("No port definition reference for portName {}", check.port_name()));
        if (!check.path().starts_with('/')) wrong(place + "/path", "must begin with '/'");
        if (check.timeout_ms() >= check.interval_ms())
            wrong(place + "/timeoutSeconds", "must be less than interval");
    }
}

void AppRules::check_constraints() {
    for (int i = 0; i < app_.constraints_size(); ++i) {
        const Constraint& constraint = app_.constraints(i);
        const std::string place = at("/constraints", i);
        switch (constraint.op()) {
            case Constraint::UNIQUE:
                if (constraint.has_value()) wrong(place, "Value specified but not used: UNIQUE has none");
                break;
            case Constraint::GROUP_BY:
                if (constraint.has_value() && !is_whole_number(constraint.value()))
                    wrong(place,
                          "Value was specified but is not a number: GROUP_BY may optionally have an integer "
                          "value");
                break;
            case Constraint::MAX_PER:
                if (!constraint.has_value() || !is_whole_number(constraint.value()))
                    wrong(place,
                          "Value was not specified or is not a number: MAX_PER must have an integer value");
                break;
            case Constraint::LIKE:
            case Constraint::UNLIKE:
                if (!constraint.has_value() || constraint.value().empty()) {
                    wrong(place, "A regular expression value must be provided");
                } else if (const auto pattern = apps::Pattern::compile(constraint.value()); !pattern) {
                    wrong(place, std::format("'{}' is not a valid regular expression: {}", constraint.value(),
                                             pattern.error().message));
                }
                break;
            case Constraint::IS: {
                const bool plain = std::ranges::all_of(constraint.value(), [](char c) {
                    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                           std::string_view("_/.-").contains(c);
                });
                if (!constraint.has_value()) {
                    wrong(place, "IS must have a value");
                } else if (!plain) {
                    wrong(place, "the value of IS must match '[A-Za-z0-9_/.-]*'");
                }
                break;
            }
            default:
                break;
        }
    }
}

void AppRules::check_roles() {
    for (int i = 0; i < app_.accepted_roles_size(); ++i) {
        const std::string& role = app_.accepted_roles(i);
        if (role != "*" && role != app_.role() && role != "slave_public")
            wrong(at("/acceptedResourceRoles", i), "can only contain *, slave_public and the app's own role");
    }
    const std::string& role = app_.role();
    const bool plain =
        role == "*" || (!role.empty() && role != "." && role != ".." && !role.starts_with('-') &&
                        role.find_first_of(" \t\n\r/\\*") == std::string::npos);
    if (!plain)
        wrong("/role", "must be * or a name without spaces, '/', '\\' and '*' that does not begin with '-'");
}

void AppRules::check_dependencies() {
    for (int i = 0; i < app_.dependencies_size(); ++i) {
        const std::string& other = app_.dependencies(i);
        const std::string prefix = other == "/" ? "/" : other + "/";
        if (other == app_.id() || app_.id().starts_with(prefix))
            wrong(at("/dependencies", i), "must not be the app itself or a group it is in");
    }
}

void AppRules::check_strategies() {
    const wire::UpgradeStrategy& upgrade = app_.upgrade();
    if (!(upgrade.minimum_health_capacity() >= 0 && upgrade.minimum_health_capacity() <= 1))
        wrong("/upgradeStrategy/minimumHealthCapacity", "expected between 0 and 1");
    if (!(upgrade.maximum_over_capacity() >= 0 && upgrade.maximum_over_capacity() <= 1))
        wrong("/upgradeStrategy/maximumOverCapacity", "expected between 0 and 1");
    const wire::UnreachableStrategy& unreachable = app_.unreachable();
    if (unreachable.inactive_after_ms() > unreachable.expunge_after_ms())
        wrong("/unreachableStrategy/inactiveAfterSeconds",
              "must be less than or equal to expungeAfterSeconds");
    if (is_resident(app_)) {
        if (upgrade.maximum_over_capacity() > 0)
            wrong("/upgradeStrategy/maximumOverCapacity", "must be 0 for an app with persistent volumes");
        if (!unreachable.disabled())
            wrong("/unreachableStrategy", "must be \"disabled\" for an app with persistent volumes");
    }
    check_single_instance();
}

void AppRules::check_single_instance() {
    if (label("MARATHON_SINGLE_INSTANCE_APP") != "true") return;
    if (app_.instances() > 1) wrong("/instances", "must be at most 1: MARATHON_SINGLE_INSTANCE_APP is true");
    if (app_.upgrade().minimum_health_capacity() > 0)
        wrong("/upgradeStrategy/minimumHealthCapacity", "must be 0: MARATHON_SINGLE_INSTANCE_APP is true");
    if (app_.upgrade().maximum_over_capacity() > 0)
        wrong("/upgradeStrategy/maximumOverCapacity", "must be 0: MARATHON_SINGLE_INSTANCE_APP is true");
}

void AppRules::check_labels() {
    const std::string_view migration = label("DCOS_MIGRATION_API_VERSION");
    if (!migration.empty()) {
        if (migration != "v1") wrong("/labels/DCOS_MIGRATION_API_VERSION", "must be v1");
        for (const std::string_view needed : {"DCOS_PACKAGE_FRAMEWORK_NAME", "DCOS_MIGRATION_API_PATH"}) {
            if (label(needed).empty())
                wrong("/labels", std::format("{} must be given with DCOS_MIGRATION_API_VERSION", needed));
        }
    }
    for (const wire::Label& one : app_.labels()) {
        if (one.key().empty()) wrong("/labels", "a label's name must not be empty");
    }
    for (const apps::RouteWarning& error : apps::routes_of(app_).errors)
        wrong("/labels/" + error.label, error.text);
}

}  // namespace

void check_rules(const AppDefinition& app, const std::string& path, Violations& violations) {
    AppRules(app, path, violations).check();
}

Checked<void> check_app(const AppDefinition& app) {
    Violations violations;
    check_rules(app, "", violations);
    if (violations.empty()) return {};
    return std::unexpected(std::move(violations).problem());
}

}  // namespace smackd::marathon
