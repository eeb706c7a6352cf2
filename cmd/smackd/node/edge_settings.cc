#include "cmd/smackd/node/edge_settings.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include "auth/http_rules.h"
#include "cmd/smackd/config.h"
#include "core/ip_address.h"
#include "services/apps/edge_issuer.h"

namespace smackd::cmd {

namespace {

constexpr std::string_view kLoopback = "127.0.0.1";
// RFC 1918, RFC 6598 and RFC 3927: what is not reached from the internet.
constexpr std::string_view kPrivate[] = {"10.0.0.0/8",    "172.16.0.0/12",  "192.168.0.0/16",
                                         "100.64.0.0/10", "169.254.0.0/16", "127.0.0.0/8"};

bool is_private(const std::string& text) {
    const auto address = core::IpAddress::parse(text);
    return address && std::ranges::any_of(kPrivate, [&](std::string_view network) {
               return core::IpNetwork::parse(network)->contains(*address);
           });
}

/// Addresses of the nodes that serve the external group; none: no node is marked, all do.
struct Public {
    bool any = false;
    bool self = false;
    std::vector<std::string> addresses;
};

Public public_nodes(const services::AppsModel& model, core::NodeId self) {
    Public found;
    for (const auto& [id, node] : model.nodes) {
        // Of the node: what its machine may be is in the registry, and the first one may be all.
        if (!std::ranges::contains(node.roles(), "public")) continue;
        found.any = true;
        found.self |= id == self.value;
        const auto capacity = model.capacities.find(id);
        if (capacity != model.capacities.end() && !capacity->second.address().empty())
            found.addresses.push_back(capacity->second.address());
    }
    return found;
}

void add_groups(wire::EdgeSettings& settings, const EdgeSetup& setup, const EdgePlace& place,
                const Public& publics) {
    const std::string own = place.address.empty() ? std::string(kLoopback) : place.address;
    wire::EdgeGroup* internal = settings.add_groups();
    internal->set_name("internal");
    internal->add_dns_names(services::kInternalGroupName);
    internal->add_dns_addresses(own);
    wire::EdgeGroup* external = settings.add_groups();
    external->set_name("external");
    external->add_dns_names(services::kExternalGroupName);
    const bool serves = !publics.any || publics.self;
    if (serves) external->add_dns_addresses(own);
    if (!serves)
        for (const std::string& address : publics.addresses) external->add_dns_addresses(address);
    const std::vector<std::string> http = setup.config.http.value_or(std::vector<std::string>{"0.0.0.0:80"});
    const std::vector<std::string> https =
        setup.config.https.value_or(std::vector<std::string>{"0.0.0.0:443"});
    std::vector<std::string> binds;
    if (setup.demo) {
        if (!http.empty()) binds.push_back(host_of(http.front()));
    } else {
        binds.emplace_back(kLoopback);
        if (!place.address.empty()) binds.push_back(place.address);
    }
    if (!place.gateway.empty() && std::ranges::find(binds, place.gateway) == binds.end())
        binds.push_back(place.gateway);
    for (const std::string& address : binds) {
        if (setup.demo || is_private(address)) internal->add_bind_addresses(address);
        if (serves) external->add_bind_addresses(address);
    }
    if (!serves) return;
    for (const std::string& listener : http) external->add_http_listeners(listener);
    for (const std::string& listener : https) external->add_https_listeners(listener);
}

void add_dns(wire::EdgeSettings& settings, const EdgeSetup& setup, const EdgePlace& place) {
    std::vector<std::string> listeners;
    const auto add = [&](const std::string& listener) {
        if (std::ranges::find(listeners, listener) == listeners.end()) listeners.push_back(listener);
    };
    if (setup.config.dns) {
        for (const std::string& listener : *setup.config.dns) add(listener);
    } else {
        add(std::format("{}:53", kLoopback));
        if (!place.address.empty()) add(place.address + ":53");
    }
    if (!place.gateway.empty()) add(place.gateway + ":53");
    for (const std::string& listener : listeners) settings.add_dns_listeners(listener);
    for (const std::string& server : setup.name_servers) {
        if (std::ranges::find(listeners, server) == listeners.end()) settings.add_forwarders(server);
    }
}

}  // namespace

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

wire::EdgeSettings edge_settings(const EdgeSetup& setup, const EdgePlace& place,
                                 const services::AppsModel& model) {
    wire::EdgeSettings settings;
    add_dns(settings, setup, place);
    add_groups(settings, setup, place, public_nodes(model, place.self));
    for (const std::string& host : setup.api_hosts) settings.add_api_hosts(host);
    settings.set_token_issuer(setup.token_issuer);
    if (!place.task_network.empty()) settings.add_task_networks(place.task_network);
    // A browser sends the dashboard's cookie to every port of the host.
    for (std::string_view cookie : {auth::kSessionCookie, auth::kSecureSessionCookie})
        settings.add_api_cookies(std::string(cookie));
    return settings;
}

}  // namespace smackd::cmd
