#include "core/marathon/write_parts.h"

#include <cmath>

#include "core/apps/constraints.h"
#include "core/planted.h"

namespace smackd::marathon {

using core::Json;
using wire::Constraint;
using wire::Container;

namespace {

Json docker_json(const Container& container) {
    Json docker = Json::object();
    docker.set("image", container.image()).set("forcePullImage", container.force_pull());
    Json parameters = Json::array();
    for (const wire::Parameter& parameter : container.parameters())
        parameters.push(Json::object().set("key", parameter.key()).set("value", parameter.value()));
    docker.set("parameters", std::move(parameters)).set("privileged", container.privileged());
    if (!container.pull_secret().empty())
        docker.set("pullConfig", Json::object().set("secret", container.pull_secret()));
    return docker;
}

Json persistent_json(const wire::PersistentVolume& volume) {
    Json json = Json::object();
    json.set("type", volume.type() == wire::PersistentVolume::PATH    ? "path"
                     : volume.type() == wire::PersistentVolume::MOUNT ? "mount"
                                                                      : "root");
    json.set("size", quotient(volume.size_bytes(), core::kMiB));
    if (volume.max_size_bytes() > 0) json.set("maxSize", quotient(volume.max_size_bytes(), core::kMiB));
    if (!volume.profile_name().empty()) json.set("profileName", volume.profile_name());
    json.set("constraints", constraints_json(volume.constraints()));
    return json;
}

Json external_json(const wire::ExternalVolume& volume) {
    Json json = Json::object();
    json.set("provider", volume.provider()).set("name", volume.name());
    if (volume.size_bytes() > 0) json.set("size", quotient(volume.size_bytes(), core::kGiB));
    if (volume.shared()) json.set("shared", true);
    if (auto options = Json::parse(volume.options_json())) json.set("options", *std::move(options));
    return json;
}

Json volume_json(const wire::Volume& volume) {
    Json json = Json::object();
    json.set("containerPath", volume.container_path());
    if (volume.has_secret()) return std::move(json.set("secret", volume.secret()));
    json.set("mode", volume.read_only() ? "RO" : "RW");
    if (volume.has_host_path()) json.set("hostPath", volume.host_path());
    if (volume.has_persistent()) json.set("persistent", persistent_json(volume.persistent()));
    if (volume.has_external()) json.set("external", external_json(volume.external()));
    return json;
}

Json linux_info_json(const Container& container) {
    Json seccomp = Json::object();
    if (!container.seccomp_profile().empty()) seccomp.set("profileName", container.seccomp_profile());
    seccomp.set("unconfined", container.seccomp_unconfined());
    Json ipc = Json::object();
    ipc.set("mode", container.ipc_shared() ? "SHARE_PARENT" : "PRIVATE");
    if (container.shm_bytes() > 0) ipc.set("shmSize", quotient(container.shm_bytes(), core::kMiB));
    return std::move(Json::object().set("seccomp", std::move(seccomp)).set("ipcInfo", std::move(ipc)));
}

Json port_mapping_json(const wire::Port& port) {
    Json json = Json::object();
    json.set("containerPort", port.container_port());
    if (port.has_host_port()) json.set("hostPort", port.host_port());
    json.set("labels", labels_json(port.labels()));
    if (!port.name().empty()) json.set("name", port.name());
    if (port.network_names_size() > 0) json.set("networkNames", strings(port.network_names()));
    json.set("protocol", protocol_name(port)).set("servicePort", port.service_port());
    return json;
}

std::string_view protocol_name(wire::CheckProtocol protocol) {
    switch (protocol) {
        case wire::CHECK_HTTPS:
            return "HTTPS";
        case wire::CHECK_TCP:
            return "TCP";
        case wire::CHECK_COMMAND:
            return "COMMAND";
        case wire::CHECK_MESOS_HTTP:
            return "MESOS_HTTP";
        case wire::CHECK_MESOS_HTTPS:
            return "MESOS_HTTPS";
        case wire::CHECK_MESOS_TCP:
            return "MESOS_TCP";
        default:
            return "HTTP";
    }
}

template <class Check>
void write_port(const Check& check, Json& json) {
    if (check.has_port() && !SMACK_BUG("fuzz_app_json")) json.set("port", check.port());
    if (check.has_port_index()) json.set("portIndex", check.port_index());
}

Json app_check_json(const wire::AppCheck& check) {
    Json json = Json::object();
    Json target = Json::object();
    if (check.protocol() == wire::CHECK_COMMAND) {
        json.set("exec", target.set("command", Json::object().set("shell", check.command())));
    } else {
        write_port(check, target);
        const bool tcp = check.protocol() == wire::CHECK_TCP;
        if (!tcp && !check.path().empty()) target.set("path", check.path());
        if (!tcp) target.set("scheme", check.protocol() == wire::CHECK_HTTPS ? "HTTPS" : "HTTP");
        json.set(tcp ? "tcp" : "http", std::move(target));
    }
    json.set("intervalSeconds", seconds_json(check.interval_ms()));
    json.set("timeoutSeconds", seconds_json(check.timeout_ms()))
        .set("delaySeconds", seconds_json(check.delay_ms()));
    return json;
}

Json readiness_json(const wire::ReadinessCheck& check) {
    Json json = Json::object();
    json.set("name", check.name())
        .set("protocol", check.https() ? "HTTPS" : "HTTP")
        .set("path", check.path());
    json.set("portName", check.port_name()).set("intervalSeconds", seconds_json(check.interval_ms()));
    json.set("timeoutSeconds", seconds_json(check.timeout_ms()));
    Json statuses = Json::array();
    for (const uint32_t status : check.ready_statuses()) statuses.push(status);
    json.set("httpStatusCodesForReady", std::move(statuses));
    json.set("preserveLastResponse", check.preserve_last_response());
    return json;
}

}  // namespace

Json number_json(double value) {
    if (std::floor(value) == value && std::abs(value) < 9e15) return static_cast<int64_t>(value);
    return value;
}

Json strings(const google::protobuf::RepeatedPtrField<std::string>& list) {
    Json json = Json::array();
    for (const std::string& one : list) json.push(one);
    return json;
}

Json labels_json(const google::protobuf::RepeatedPtrField<wire::Label>& labels) {
    Json json = Json::object();
    for (const wire::Label& label : labels) json.set(label.key(), label.value());
    return json;
}

Json constraints_json(const google::protobuf::RepeatedPtrField<Constraint>& constraints) {
    Json json = Json::array();
    for (const Constraint& constraint : constraints) {
        Json one = Json::array();
        one.push(constraint.field()).push(apps::operator_name(constraint.op()));
        if (constraint.has_value()) one.push(constraint.value());
        json.push(std::move(one));
    }
    return json;
}

std::string_view protocol_name(const wire::Port& port) {
    if (port.udp() && port.tcp()) return "udp,tcp";
    return port.udp() ? "udp" : "tcp";
}

void write_requests(const wire::Resources& resources, Json& json) {
    json.set("cpus", quotient(resources.cpus_milli(), 1000));
    json.set("mem", quotient(resources.memory_bytes(), core::kMiB));
    json.set("disk", quotient(resources.disk_bytes(), core::kMiB));
    json.set("gpus", resources.gpus());
}

Json container_json(const wire::AppDefinition& app) {
    const Container& container = app.container();
    Json json = Json::object();
    const bool mesos = !app.has_container() || container.type() == Container::MESOS;
    json.set("type", mesos ? "MESOS" : "DOCKER");
    if (!container.image().empty()) json.set("docker", docker_json(container));
    Json volumes = Json::array();
    for (const wire::Volume& volume : container.volumes()) volumes.push(volume_json(volume));
    json.set("volumes", std::move(volumes));
    const bool linux_info = !container.seccomp_profile().empty() || container.seccomp_unconfined() ||
                            container.ipc_shared() || container.shm_bytes() > 0;
    if (linux_info) json.set("linuxInfo", linux_info_json(container));
    if (app.networks_size() == 0 || app.networks(0).mode() == wire::NETWORK_HOST) return json;
    Json mappings = Json::array();
    for (const wire::Port& port : app.ports()) mappings.push(port_mapping_json(port));
    json.set("portMappings", std::move(mappings));
    return json;
}

Json health_check_json(const wire::HealthCheck& check) {
    Json json = Json::object();
    json.set("protocol", protocol_name(check.protocol()));
    if (check.protocol() == wire::CHECK_COMMAND) {
        json.set("command", Json::object().set("value", check.command()));
    } else {
        const bool tcp = check.protocol() == wire::CHECK_TCP || check.protocol() == wire::CHECK_MESOS_TCP;
        if (!tcp && !check.path().empty()) json.set("path", check.path());
        write_port(check, json);
        if (!tcp) json.set("ignoreHttp1xx", check.ignore_http_1xx());
    }
    json.set("gracePeriodSeconds", seconds_json(check.grace_ms()));
    json.set("intervalSeconds", seconds_json(check.interval_ms()));
    json.set("timeoutSeconds", seconds_json(check.timeout_ms()));
    json.set("maxConsecutiveFailures", check.max_consecutive_failures());
    json.set("delaySeconds", seconds_json(check.delay_ms()));
    json.set("ipProtocol", check.ipv6() ? "IPv6" : "IPv4");
    return json;
}

void write_checks(const wire::AppDefinition& app, Json& json) {
    Json health = Json::array();
    for (const wire::HealthCheck& check : app.health_checks()) health.push(health_check_json(check));
    if (app.health_checks_size() > 0) json.set("healthChecks", std::move(health));
    if (app.has_check()) json.set("check", app_check_json(app.check()));
    Json readiness = Json::array();
    for (const wire::ReadinessCheck& check : app.readiness_checks()) readiness.push(readiness_json(check));
    if (app.readiness_checks_size() > 0) json.set("readinessChecks", std::move(readiness));
}

}  // namespace smackd::marathon
