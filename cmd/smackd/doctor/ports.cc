#include "cmd/smackd/doctor/ports.h"

#include <unistd.h>

#include <algorithm>
#include <format>

#include "cmd/smackd/doctor/socket_table.h"
#include "cmd/smackd/node/own_address.h"

namespace smackd::cmd {
namespace {

std::string_view protocol(net::ListenKind kind) {
    return kind == net::ListenKind::kTcp ? "TCP" : "UDP";
}

core::Result<net::Address> address_of(const std::string& text) {
    auto parsed = net::Address::parse(text);
    if (parsed) return parsed;
    const std::vector<std::string> meant = addresses_of_name(host_of(text));
    if (meant.empty()) return core::fail(core::Errc::kNotFound, "{} means nothing here", host_of(text));
    return net::Address::parse(std::format("{}:{}", meant.front(), port_of(text)));
}

bool is_ours(const PortHolder& holder, const PortChecks& checks) {
    if (holder.pid != 0 && holder.pid == checks.daemon_pid) return true;
    return holder.command_line.contains(checks.directory.path() + "/");
}

/// "listen.api" is set by SMACKD_LISTEN_API too; the file is what people edit.
std::string another(const WantedPort& port) {
    const size_t dot = port.key.find('.');
    const bool list = port.edge;
    return std::format("[{}] {} = {}\"IP:PORT\"{} in {}", port.key.substr(0, dot), port.key.substr(dot + 1),
                       list ? "[" : "", list ? "]" : "", kConfigPath);
}

Finding taken(const std::string& check, const WantedPort& port, const PortHolder& holder) {
    const bool seen = holder.pid != 0;
    return failed(check,
                  seen ? std::format("{} {} is taken by {} (process {})", protocol(port.kind), port.address,
                                     holder.name, holder.pid)
                       : std::format("{} {} is taken by a process that cannot be seen from here",
                                     protocol(port.kind), port.address),
                  "end that program, or choose another address: " + another(port),
                  seen ? std::format("kill {}", holder.pid)
                       : std::format("ss -lnp 'sport = :{}'", port_of(port.address)));
}

Finding check_port(const WantedPort& port, const PortChecks& checks, SocketTable& sockets) {
    const std::string check = std::format("port {}", port.what);
    const std::string where = std::format("{} {}", protocol(port.kind), port.address);
    auto at = address_of(port.address);
    if (!at)
        return failed(check, std::format("{}: {}", where, at.error().message),
                      "listen on an address of this machine: " + another(port), "smackd config show");
    const auto holder = sockets.holder_of(port.kind, *at);
    if (holder && is_ours(*holder, checks)) return fine(check, where + " is this node's");
    if (holder) return taken(check, port, *holder);
    if (checks.daemon_pid != 0)
        return failed(check, std::format("the node runs, and nobody listens on {}", where),
                      port.edge ? "the node's log says why its edge leaves it out" : "start the node again",
                      port.edge ? "journalctl -u smackd -g edge" : "systemctl restart smackd");
    auto opened = net::open_listener(port.kind, *at);
    if (!opened)
        return failed(check, std::format("{} cannot be had: {}", where, opened.error().message),
                      "listen on an address of this machine, as root: " + another(port), "ip -br address");
    ::close(*opened);
    return fine(check, where + " is free");
}

}  // namespace

std::vector<WantedPort> wanted_ports(const Config& config, bool server, bool kdc,
                                     const std::string& own_address) {
    using enum net::ListenKind;
    std::vector<WantedPort> wanted;
    if (server) wanted.push_back({"API", "listen.api", kTcp, config.api_address});
    if (server) wanted.push_back({"cluster", "listen.cluster", kTcp, config.cluster_address});
    if (server || !config.gossip_by_stream)
        wanted.push_back({"gossip", "listen.cluster", kUdp, config.cluster_address});
    if (kdc) {
        wanted.push_back({"KDC", "listen.kdc", kTcp, config.kdc_address});
        wanted.push_back({"KDC", "listen.kdc", kUdp, config.kdc_address});
    }
    if (!config.edge.run.value_or(config.tasks.run)) return wanted;
    std::vector<std::string> dns{"127.0.0.1:53"};
    if (!own_address.empty()) dns.push_back(own_address + ":53");
    for (const std::string& address : config.edge.dns.value_or(dns)) {
        wanted.push_back({"DNS", "listen.dns", kUdp, address, true});
        wanted.push_back({"DNS", "listen.dns", kTcp, address, true});
    }
    const std::vector<std::string> http{"0.0.0.0:80"};
    const std::vector<std::string> https{"0.0.0.0:443"};
    for (const std::string& address : config.edge.http.value_or(http))
        wanted.push_back({"HTTP", "listen.http", kTcp, address, true});
    for (const std::string& address : config.edge.https.value_or(https))
        wanted.push_back({"HTTPS", "listen.https", kTcp, address, true});
    return wanted;
}

Findings examine_ports(const PortChecks& checks) {
    Findings out;
    SocketTable sockets = SocketTable::read();
    for (const WantedPort& port : checks.wanted) out.push_back(check_port(port, checks, sockets));
    return out;
}

}  // namespace smackd::cmd
