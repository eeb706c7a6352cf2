#include "core/apps/claims.h"

#include <algorithm>
#include <array>
#include <format>
#include <string_view>

#include "core/apps/routes.h"
#include "core/ascii.h"
#include "core/dns/name.h"
#include "core/marathon/path_id.h"

namespace smackd::apps {

using wire::AppDefinition;

namespace {

constexpr std::string_view kHostPort = "host port ";
constexpr std::string_view kServicePort = "port ";
/// Answered by the edge itself.
constexpr std::array<std::string_view, 2> kReservedNames = {"marathon-lb", "marathon-lb-internal"};

/// Where nothing is said, tasks get the node's network, too.
bool is_in_host_network(const AppDefinition& app) {
    return app.networks_size() == 0 || app.networks(0).mode() == wire::NETWORK_HOST;
}

/// As DNS has them: "web.shop" and "web-shop" for /shop/web.
std::array<std::string, 2> names_of(const AppDefinition& app) {
    const std::string name = marathon::id_reversed(app.id());
    return {core::dns::mangle_labels(name), core::dns::mangle_label(name)};
}

void add_host_ports(std::set<std::string>& claims, const AppDefinition& app) {
    if (is_in_host_network(app)) return;  // there a fixed port is the service port
    for (const wire::Port& port : app.ports()) {
        if (port.host_port() != 0) claims.insert(std::format("{}{}", kHostPort, port.host_port()));
    }
}

}  // namespace

std::vector<NeededRight> needed_rights_before_names(const AppDefinition& app) {
    std::vector<NeededRight> rights;
    if (app.container().privileged())
        rights.push_back({core::Action::kAdmin, "a privileged container (container.docker.privileged)"});
    for (const wire::Volume& volume : app.container().volumes()) {
        if (volume.source_case() != wire::Volume::kHostPath || !volume.host_path().starts_with('/')) continue;
        rights.push_back({core::Action::kAdmin, std::format("{} of the host (container.volumes.hostPath)",
                                                            volume.host_path().substr(0, 128))});
    }
    return rights;
}

std::vector<NeededRight> needed_rights(const AppDefinition& app) {
    std::vector<NeededRight> rights = needed_rights_before_names(app);
    const auto admin = [&rights](std::string reason) {
        rights.push_back({core::Action::kAdmin, std::move(reason)});
    };
    if (app.container().seccomp_unconfined()) admin("no system-call filter (linuxInfo.seccomp.unconfined)");
    if (app.container().ipc_shared()) admin("the node's IPC (linuxInfo.ipcInfo.mode SHARE_PARENT)");
    for (const std::string& name : names_of(app)) {
        if (std::ranges::contains(kReservedNames, name)) {
            admin(std::format("the load balancer's DNS name {}", name));
            break;
        }
    }
    if (is_in_host_network(app))
        rights.push_back({core::Action::kHost, "the network of the node (networks: host)"});
    return rights;
}

std::set<std::string> claims_before_names(const AppDefinition& app) {
    std::set<std::string> claims;
    for (const Route& route : routes_of(app).routes) {
        if (route.service_port != 0) claims.insert(std::format("{}{}", kServicePort, route.service_port));
        for (const std::string& host : route.virtual_hosts) claims.insert("host " + host);
    }
    for (const wire::Port& port : app.ports()) {
        if (port.service_port() != 0) claims.insert(std::format("{}{}", kServicePort, port.service_port()));
    }
    return claims;
}

std::set<std::string> claims_of(const AppDefinition& app) {
    std::set<std::string> claims = claims_before_names(app);
    for (const VirtualAddress& address : routes_of(app).virtual_addresses)
        claims.insert(std::format("vip {}:{}", core::ascii_lower(address.name), address.port));
    for (const std::string& name : names_of(app)) {
        if (!name.empty()) claims.insert("name " + name);
    }
    add_host_ports(claims, app);
    return claims;
}

std::vector<std::string> excluded_by(const std::string& claim) {
    if (claim.starts_with(kHostPort)) return {claim.substr(kHostPort.size() - kServicePort.size())};
    if (claim.starts_with(kServicePort)) return {claim, "host " + claim};
    return {claim};
}

std::string text_of_missing_right(const AppDefinition& app, const NeededRight& right,
                                  std::string_view missing) {
    const char* instead = right.action == core::Action::kHost
                              ? ", or leave it: \"networks\": [{\"mode\": \"container/bridge\"}]"
                              : "";
    return std::format("app '{}' asks for {}: {}{}", app.id(), right.reason, missing, instead);
}

std::string text_of_taken_claim(const std::string& app, const std::string& claim, const std::string& owner) {
    return std::format(
        "app '{}': {} belongs to {}, which you may not change: take another one, or ask an admin for the "
        "right",
        app, claim, owner.empty() ? "another app" : "'" + owner + "'");
}

}  // namespace smackd::apps
