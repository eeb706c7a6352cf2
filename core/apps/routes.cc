#include "core/apps/routes.h"

#include <algorithm>
#include <charconv>
#include <format>

#include "core/apps/address.h"
#include "core/ascii.h"

namespace smackd::apps {

namespace {

constexpr std::string_view kPrefix = "HAPROXY_";
constexpr size_t kHostNameBytesMax = 253;

std::string_view trimmed(std::string_view text) {
    const size_t start = text.find_first_not_of(" \t");
    if (start == std::string_view::npos) return {};
    return text.substr(start, text.find_last_not_of(" \t") - start + 1);
}

std::vector<std::string> parts_of(std::string_view text, char separator) {
    std::vector<std::string> parts;
    while (!text.empty()) {
        const size_t end = text.find(separator);
        const std::string_view part = trimmed(text.substr(0, end));
        if (!part.empty()) parts.emplace_back(part);
        if (end == std::string_view::npos) break;
        text.remove_prefix(end + 1);
    }
    return parts;
}

template <class Number>
std::optional<Number> number_of(std::string_view text) {
    Number value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::optional<uint16_t> port_of(std::string_view text) {
    const auto port = number_of<uint16_t>(text);
    return port && *port > 0 ? port : std::nullopt;
}

bool is_host_name(std::string_view name) {
    if (name.starts_with("*.")) name.remove_prefix(2);
    return !name.empty() && name.size() <= kHostNameBytesMax && !name.starts_with('.') &&
           !name.contains("..") && std::ranges::all_of(name, [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
           });
}

/// One label of one port: fills `route`, or says what is wrong; empty: fine.
using Reader = std::string (*)(const std::string& value, Route& route);

template <bool Route::* kMember>
std::string read_flag(const std::string& value, Route& route) {
    const std::string text = core::ascii_lower(trimmed(value));
    route.*kMember = text == "true" || text == "t" || text == "yes" || text == "y";
    if (route.*kMember || text == "false" || text == "f" || text == "no" || text == "n") return "";
    return "must be true or false";
}

template <std::string Route::* kMember>
std::string read_text(const std::string& value, Route& route) {
    route.*kMember = trimmed(value);
    return "";
}

std::string read_groups(const std::string& value, Route& route) {
    route.groups = parts_of(value, ',');
    return "";
}

std::string read_service_port(const std::string& value, Route& route) {
    const auto port = port_of(trimmed(value));
    route.service_port = port.value_or(0);
    return port ? "" : "must be a port from 1 to 65535";
}

std::string read_mode(const std::string& value, Route& route) {
    const std::string mode = core::ascii_lower(trimmed(value));
    if (mode != "tcp" && mode != "http") return "must be tcp or http";
    route.mode = mode == "http" ? RouteMode::kHttp : RouteMode::kTcp;
    return "";
}

std::string read_hosts(const std::string& value, Route& route) {
    for (const std::string& name : parts_of(value, ',')) {
        if (!is_host_name(core::ascii_lower(name)))
            return std::format("'{}' is no host name", name.substr(0, 64));
        route.virtual_hosts.push_back(core::ascii_lower(name));
    }
    return route.virtual_hosts.empty() ? "must name at least one host" : "";
}

std::string read_paths(const std::string& value, Route& route) {
    for (const std::string& path : parts_of(value, ' ')) {
        if (path == "-i") {
            route.paths_ignore_case = true;
        } else if (!path.starts_with('/')) {
            return std::format("'{}' does not begin with '/'", path.substr(0, 64));
        } else {
            route.paths.push_back(path);
        }
    }
    return route.paths.empty() ? "must name at least one path" : "";
}

std::string read_weight(const std::string& value, Route& route) {
    const auto weight = number_of<int32_t>(trimmed(value));
    route.weight = weight.value_or(0);
    return weight ? "" : "must be a whole number";
}

std::string read_auth(const std::string& value, Route& route) {
    const size_t first = value.find(':');
    const size_t second = first == std::string::npos ? first : value.find(':', first + 1);
    if (second == std::string::npos || first == 0 || second == first + 1 || second + 1 == value.size())
        return "must be realm:user:crypted-password";
    route.auth = BasicAuth{value.substr(0, first), value.substr(first + 1, second - first - 1),
                           value.substr(second + 1)};
    return "";
}

std::string read_networks(const std::string& value, Route& route) {
    route.allowed_networks = parts_of(value, ' ');
    for (const std::string& network : route.allowed_networks) {
        if (!is_cidr(network))
            return std::format("'{}' is no address or CIDR network", network.substr(0, 64));
    }
    return route.allowed_networks.empty() ? "must name at least one network" : "";
}

std::string read_bind_address(const std::string& value, Route& route) {
    const std::string_view address = trimmed(value);
    if (address != "*" && !is_address(address)) return "must be * or an IP address";
    if (address != "*") route.bind_address = address;
    return "";
}

std::string read_health_check_port(const std::string& value, Route& route) {
    const auto index = number_of<uint32_t>(trimmed(value));
    route.health_check_port_index = index;
    return index ? "" : "must be a port index";
}

template <std::string Route::* kMember>
std::string read_prefix(const std::string& value, Route& route) {
    route.*kMember = trimmed(value);
    return (route.*kMember).starts_with('/') ? "" : "must begin with '/'";
}

constexpr std::pair<std::string_view, Reader> kReaders[] = {
    {"GROUP", read_groups},
    {"PORT", read_service_port},
    {"MODE", read_mode},
    {"VHOST", read_hosts},
    {"PATH", read_paths},
    {"BACKEND_WEIGHT", read_weight},
    {"STICKY", read_flag<&Route::sticky>},
    {"REDIRECT_TO_HTTPS", read_flag<&Route::redirect_to_https>},
    {"USE_HSTS", read_flag<&Route::hsts>},
    {"ENABLED", read_flag<&Route::enabled>},
    {"BIND_ADDR", read_bind_address},
    {"SSL_CERT", read_text<&Route::certificate>},
    {"AUTH", read_auth},
    {"BACKEND_NETWORK_ALLOWED_ACL", read_networks},
    {"HTTP_BACKEND_PROXYPASS_PATH", read_prefix<&Route::strip_prefix>},
    {"HTTP_BACKEND_REVPROXY_PATH", read_prefix<&Route::rewrite_location>},
    {"HTTP_BACKEND_REDIR", read_prefix<&Route::redirect_root>},
    {"BALANCE", read_text<&Route::balance>},
    {"BACKEND_HEALTHCHECK_PORT_INDEX", read_health_check_port},
};

Reader reader_of(std::string_view name) {
    for (const auto& [known, reader] : kReaders) {
        if (known == name) return reader;
    }
    return nullptr;
}

/// Labels of the whole app that zdd.py sets; the edge needs the first two.
bool is_deployment_label(std::string_view name) {
    constexpr std::string_view kNames[] = {
        "DEPLOYMENT_GROUP",      "DEPLOYMENT_ALT_PORT",         "DEPLOYMENT_COLOUR",
        "DEPLOYMENT_STARTED_AT", "DEPLOYMENT_TARGET_INSTANCES", "DEPLOYMENT_NEW_INSTANCES"};
    return std::ranges::contains(kNames, name);
}

bool is_http(wire::CheckProtocol protocol) {
    return protocol == wire::CHECK_HTTP || protocol == wire::CHECK_HTTPS ||
           protocol == wire::CHECK_MESOS_HTTP || protocol == wire::CHECK_MESOS_HTTPS;
}

bool has_http_check(const wire::AppDefinition& app, uint32_t port_index) {
    return std::ranges::any_of(app.health_checks(), [&](const wire::HealthCheck& check) {
        return is_http(check.protocol()) && check.has_port_index() && check.port_index() == port_index;
    });
}

class RouteReader {
 public:
    explicit RouteReader(const wire::AppDefinition& app)
        : app_(app), ports_(static_cast<size_t>(app.ports_size())) {}

    Routes read() {
        for (size_t i = 0; i < ports_.size(); ++i) {
            ports_[i].route.app_id = app_.id();
            ports_[i].route.port_index = static_cast<uint32_t>(i);
        }
        for (const wire::Label& label : app_.labels()) {
            if (std::string_view(label.key()).starts_with(kPrefix)) read_label(label);
        }
        for (size_t i = 0; i < ports_.size(); ++i) finish(i);
        for (size_t i = 0; i < ports_.size(); ++i) read_virtual_addresses(i);
        return std::move(routes_);
    }

 private:
    struct PortLabels {
        Route route;
        bool mode_given = false;
        bool weight_given = false;
    };

    void warn(const std::string& label, std::string text) {
        routes_.warnings.push_back({label, std::move(text)});
    }
    void refuse(const std::string& label, std::string text) {
        routes_.errors.push_back({label, std::move(text)});
    }

    void read_label(const wire::Label& label) {
        const std::string_view name = std::string_view(label.key()).substr(kPrefix.size());
        if (name == "GROUP") {
            groups_ = parts_of(label.value(), ',');
        } else if (is_deployment_label(name)) {
            read_deployment_label(label, name);
        } else if (const size_t border = name.find('_'); border != std::string_view::npos) {
            read_port_label(label, name.substr(0, border), name.substr(border + 1));
        } else {
            warn(label.key(), "is not known");
        }
    }

    void read_deployment_label(const wire::Label& label, std::string_view name) {
        if (name == "DEPLOYMENT_GROUP") routes_.deployment_group = trimmed(label.value());
        if (name != "DEPLOYMENT_ALT_PORT") return;
        const auto port = port_of(trimmed(label.value()));
        if (!port) return refuse(label.key(), "must be a port from 1 to 65535");
        routes_.deployment_alt_port = *port;
    }

    void read_port_label(const wire::Label& label, std::string_view number, std::string_view name) {
        const auto index = number_of<uint32_t>(number);
        if (!index) return warn(label.key(), "is not known: labels of a port are HAPROXY_{n}_NAME");
        const Reader reader = reader_of(name);
        if (reader == nullptr)
            return warn(label.key(), "has no effect: raw HAProxy text and unknown settings are not used");
        if (*index >= ports_.size())
            return warn(label.key(),
                        std::format("has no effect: the app has {} ports, the first is 0", ports_.size()));
        PortLabels& port = ports_[*index];
        if (std::string error = reader(label.value(), port.route); !error.empty())
            return refuse(label.key(), error);
        port.mode_given |= name == "MODE";
        port.weight_given |= name == "BACKEND_WEIGHT";
    }

    void finish(size_t index) {
        PortLabels& port = ports_[index];
        Route& route = port.route;
        const std::string prefix = std::format("HAPROXY_{}_", index);
        if (route.groups.empty()) route.groups = groups_;
        if (route.service_port == 0)
            route.service_port = static_cast<uint16_t>(app_.ports(static_cast<int>(index)).service_port());
        if (!port.mode_given && !route.virtual_hosts.empty()) route.mode = RouteMode::kHttp;
        if (has_http_check(app_, route.port_index)) route.mode = RouteMode::kHttp;
        if (!route.paths.empty() && route.virtual_hosts.empty()) {
            warn(prefix + "PATH", "has no effect without a VHOST");
            route.paths.clear();
        }
        if (!port.weight_given && !route.paths.empty()) route.weight = 1;
        if (route.mode == RouteMode::kTcp && route.sticky)
            warn(prefix + "STICKY", "has no effect in mode tcp");
        if (!route.groups.empty()) routes_.routes.push_back(route);
    }

    void read_virtual_addresses(size_t index) {
        const wire::Port& port = app_.ports(static_cast<int>(index));
        for (const wire::Label& label : port.labels()) {
            if (!label.key().starts_with("VIP") && !label.key().starts_with("vip")) continue;
            VirtualAddress address;
            address.port_index = static_cast<uint32_t>(index);
            address.tcp = port.tcp();
            address.udp = port.udp();
            std::string_view value = trimmed(label.value());
            const size_t colon = value.rfind(':');
            const auto number =
                colon == std::string_view::npos ? std::nullopt : port_of(value.substr(colon + 1));
            std::string name(value.substr(0, colon));
            if (name.starts_with('[') && name.ends_with(']')) name = name.substr(1, name.size() - 2);
            address.is_address = is_address(name);
            if (!address.is_address) std::erase(name, '/');
            if (!number || !(address.is_address || is_host_name(core::ascii_lower(name)))) {
                refuse(label.key(), "must be NAME:PORT or ADDRESS:PORT");
                continue;
            }
            address.name = core::ascii_lower(name);
            address.port = *number;
            routes_.virtual_addresses.push_back(std::move(address));
        }
    }

    const wire::AppDefinition& app_;
    std::vector<PortLabels> ports_;
    std::vector<std::string> groups_;
    Routes routes_;
};

}  // namespace

Routes routes_of(const wire::AppDefinition& app) {
    return RouteReader(app).read();
}

}  // namespace smackd::apps
