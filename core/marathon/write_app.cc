// The definition as Marathon's GET prints it: what read_app reads gives the same definition again.
#include <cmath>

#include "core/marathon/app_json.h"
#include "core/marathon/timestamp.h"
#include "core/marathon/write_parts.h"

namespace smackd::marathon {

using core::Json;
using wire::AppDefinition;

namespace {

bool is_host(const AppDefinition& app) {
    return app.networks_size() > 0 && app.networks(0).mode() == wire::NETWORK_HOST;
}

void write_command(const AppDefinition& app, Json& json) {
    if (app.args_size() > 0) json.set("args", strings(app.args()));
    if (!app.cmd().empty()) json.set("cmd", app.cmd());
    if (!app.user().empty()) json.set("user", app.user());
    if (app.tty()) json.set("tty", true);
}

void write_environment(const AppDefinition& app, Json& json) {
    Json env = Json::object();
    for (const wire::EnvironmentVariable& variable : app.env()) {
        Json value =
            variable.has_secret() ? Json::object().set("secret", variable.secret()) : Json(variable.plain());
        env.set(variable.name(), std::move(value));
    }
    if (app.env_size() > 0) json.set("env", std::move(env));
    Json secrets = Json::object();
    for (const wire::AppSecret& secret : app.secrets())
        secrets.set(secret.name(), Json::object().set("source", secret.source()));
    if (app.secrets_size() > 0) json.set("secrets", std::move(secrets));
    json.set("labels", labels_json(app.labels()));
}

void write_fetch(const AppDefinition& app, Json& json) {
    if (app.fetch_size() == 0) return;
    Json list = Json::array();
    for (const wire::Fetch& fetch : app.fetch()) {
        Json one = Json::object();
        one.set("uri", fetch.uri()).set("extract", fetch.extract()).set("executable", fetch.executable());
        one.set("cache", fetch.cache());
        if (!fetch.dest_path().empty()) one.set("destPath", fetch.dest_path());
        list.push(std::move(one));
    }
    json.set("fetch", std::move(list));
}

void write_networks(const AppDefinition& app, Json& json) {
    Json list = Json::array();
    for (const wire::Network& network : app.networks()) {
        Json one = Json::object();
        one.set("mode", network.mode() == wire::NETWORK_HOST     ? "host"
                        : network.mode() == wire::NETWORK_BRIDGE ? "container/bridge"
                                                                 : "container");
        if (!network.name().empty()) one.set("name", network.name());
        if (network.labels_size() > 0) one.set("labels", labels_json(network.labels()));
        list.push(std::move(one));
    }
    json.set("networks", std::move(list));
    if (!is_host(app)) return;
    Json ports = Json::array();
    for (const wire::Port& port : app.ports()) {
        Json one = Json::object();
        one.set("labels", labels_json(port.labels()));
        if (!port.name().empty()) one.set("name", port.name());
        one.set("port", port.service_port()).set("protocol", protocol_name(port));
        ports.push(std::move(one));
    }
    json.set("portDefinitions", std::move(ports));
}

void write_resources(const AppDefinition& app, Json& json) {
    write_requests(app.resources(), json);
    json.set("executor", app.executor());
    if (app.has_executor_resources()) {
        Json own = Json::object();
        write_requests(app.executor_resources(), own);
        json.set("executorResources", std::move(own));
    }
    if (!app.has_limits()) return;
    const wire::ResourceLimits& limits = app.limits();
    Json own = Json::object();
    if (limits.cpus_unlimited()) {
        own.set("cpus", "unlimited");
    } else if (limits.cpus_milli() > 0) {
        own.set("cpus", quotient(limits.cpus_milli(), 1000));
    }
    if (limits.memory_unlimited()) {
        own.set("mem", "unlimited");
    } else if (limits.memory_bytes() > 0) {
        own.set("mem", quotient(limits.memory_bytes(), core::kMiB));
    }
    json.set("resourceLimits", std::move(own));
}

void write_placement(const AppDefinition& app, Json& json) {
    if (app.accepted_roles_size() > 0) json.set("acceptedResourceRoles", strings(app.accepted_roles()));
    if (app.constraints_size() > 0) json.set("constraints", constraints_json(app.constraints()));
    if (app.dependencies_size() > 0) json.set("dependencies", strings(app.dependencies()));
    json.set("role", app.role());
}

void write_strategies(const AppDefinition& app, Json& json) {
    json.set("backoffFactor", number_json(app.backoff_factor()))
        .set("backoffSeconds", seconds_json(app.backoff_ms()));
    json.set("maxLaunchDelaySeconds", seconds_json(app.backoff_max_ms()));
    json.set("killSelection", app.kill_selection() == wire::OLDEST_FIRST ? "OLDEST_FIRST" : "YOUNGEST_FIRST");
    if (app.has_kill_grace_ms()) json.set("taskKillGracePeriodSeconds", seconds_json(app.kill_grace_ms()));
    Json upgrade = Json::object();
    upgrade.set("maximumOverCapacity", number_json(app.upgrade().maximum_over_capacity()));
    upgrade.set("minimumHealthCapacity", number_json(app.upgrade().minimum_health_capacity()));
    if (app.upgrade().deadline_ms() > 0)
        upgrade.set("deadlineSeconds", seconds_json(app.upgrade().deadline_ms()));
    if (app.upgrade().rollback_on_deadline()) upgrade.set("rollbackOnDeadline", true);
    json.set("upgradeStrategy", std::move(upgrade));
    if (app.unreachable().disabled()) {
        json.set("unreachableStrategy", "disabled");
        return;
    }
    Json unreachable = Json::object();
    unreachable.set("expungeAfterSeconds", seconds_json(app.unreachable().expunge_after_ms()));
    unreachable.set("inactiveAfterSeconds", seconds_json(app.unreachable().inactive_after_ms()));
    json.set("unreachableStrategy", std::move(unreachable));
}

void write_versions(const AppDefinition& app, Json& json) {
    if (app.version_ms() == 0) return;
    json.set("version", format_timestamp(app.version_ms()));
    Json info = Json::object();
    info.set("lastConfigChangeAt", format_timestamp(app.last_config_change_ms()));
    info.set("lastScalingAt", format_timestamp(app.last_scaling_ms()));
    json.set("versionInfo", std::move(info));
}

}  // namespace

Json app_to_json(const AppDefinition& app) {
    Json json = Json::object();
    json.set("id", app.id()).set("instances", app.instances());
    write_command(app, json);
    write_resources(app, json);
    write_environment(app, json);
    write_fetch(app, json);
    if (app.has_container() || (!is_host(app) && app.ports_size() > 0))
        json.set("container", container_json(app));
    write_networks(app, json);
    json.set("requirePorts", app.require_ports());
    write_checks(app, json);
    write_placement(app, json);
    write_strategies(app, json);
    write_versions(app, json);
    return json;
}

}  // namespace smackd::marathon
