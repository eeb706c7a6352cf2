#include "core/ingress/labels.h"

#include <algorithm>
#include <charconv>

#include "core/ip_address.h"

namespace smackd::core::ingress {
namespace {

constexpr size_t kHostBytesMax = 253;
constexpr size_t kRoutesMax = 256;  // of one port

std::vector<std::string> split(std::string_view text, std::string_view separators) {
    std::vector<std::string> parts;
    while (!text.empty()) {
        const size_t end = std::min(text.find_first_of(separators), text.size());
        if (end > 0) parts.emplace_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return parts;
}

std::string lower(std::string text) {
    std::ranges::transform(text, text.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
    return text;
}

bool is_host(std::string_view host) {
    if (host.starts_with("*.")) host.remove_prefix(2);
    return !host.empty() && host.size() <= kHostBytesMax && host.front() != '.' &&
           host.find("..") == host.npos && std::ranges::all_of(host, [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
           });
}

/// The labels of one port.
class PortLabels {
 public:
    PortLabels(const std::map<std::string, std::string>& labels, size_t index)
        : labels_(labels), prefix_("HAPROXY_" + std::to_string(index) + "_") {}

    const std::string* find(std::string_view name) const {
        auto found = labels_.find(prefix_ + std::string(name));
        return found == labels_.end() ? nullptr : &found->second;
    }
    std::string label(std::string_view name) const { return prefix_ + std::string(name); }

    Result<bool> flag(std::string_view name, bool fallback = false) const {
        const std::string* value = find(name);
        if (value == nullptr) return fallback;
        const std::string word = lower(*value);
        if (word == "true" || word == "yes" || word == "1") return true;
        if (word == "false" || word == "no" || word == "0" || word.empty()) return false;
        return fail(Errc::kInvalid, "label {}: '{}' is neither true nor false", label(name), *value);
    }
    Result<int32_t> number(std::string_view name, int32_t fallback, int32_t least, int32_t most) const {
        const std::string* value = find(name);
        if (value == nullptr) return fallback;
        int32_t number = 0;
        auto [stop, error] = std::from_chars(value->data(), value->data() + value->size(), number);
        if (error != std::errc() || stop != value->data() + value->size() || number < least || number > most)
            return fail(Errc::kInvalid, "label {}: '{}' is no number from {} to {}", label(name), *value,
                        least, most);
        return number;
    }

 private:
    const std::map<std::string, std::string>& labels_;
    std::string prefix_;
};

Result<void> read_groups(const std::map<std::string, std::string>& labels, const PortLabels& of,
                         wire::EdgePort& port) {
    const std::string* groups = of.find("GROUP");
    auto all = labels.find("HAPROXY_GROUP");
    if (groups == nullptr && all != labels.end()) groups = &all->second;
    TRY_ASSIGN(const bool enabled, of.flag("ENABLED", true));
    if (groups == nullptr || !enabled) return {};
    for (std::string& group : split(*groups, ", ")) {
        if (std::ranges::find(port.groups(), group) == port.groups().end()) port.add_groups(std::move(group));
    }
    return {};
}

Result<void> read_routes(const PortLabels& of, wire::EdgePort& port) {
    const std::string* hosts = of.find("VHOST");
    const std::string* paths = of.find("PATH");
    if (hosts == nullptr) {
        if (paths == nullptr) return {};
        return fail(Errc::kInvalid, "label {} needs {}", of.label("PATH"), of.label("VHOST"));
    }
    std::vector<std::string> prefixes = paths == nullptr ? std::vector<std::string>{""} : split(*paths, " ");
    std::erase(prefixes, "-i");  // of HAProxy's own syntax: without case; paths have case here
    TRY_ASSIGN(const int32_t weight,
               of.number("BACKEND_WEIGHT", paths == nullptr ? 0 : 1, -1'000'000, 1'000'000));
    for (const std::string& written : split(*hosts, ", ")) {
        const std::string host = lower(written);
        if (!is_host(host))
            return fail(Errc::kInvalid, "label {}: '{}' is no host name", of.label("VHOST"), written);
        for (const std::string& prefix : prefixes) {
            if (!prefix.empty() && prefix.front() != '/')
                return fail(Errc::kInvalid, "label {}: '{}' does not start with '/'", of.label("PATH"),
                            prefix);
            if (port.routes_size() >= static_cast<int>(kRoutesMax))
                return fail(Errc::kInvalid, "label {}: more than {} hosts and paths", of.label("VHOST"),
                            kRoutesMax);
            wire::EdgeRoute& route = *port.add_routes();
            route.set_host(host);
            route.set_path(prefix);
            route.set_weight(weight);
        }
    }
    return {};
}

Result<void> read_mode(const PortLabels& of, bool http_check, wire::EdgePort& port) {
    const std::string* mode = of.find("MODE");
    if (mode != nullptr && *mode != "tcp" && *mode != "http")
        return fail(Errc::kInvalid, "label {}: '{}' is neither tcp nor http", of.label("MODE"), *mode);
    const bool by_host = mode == nullptr && port.routes_size() > 0;
    port.set_http(http_check || by_host || (mode != nullptr && *mode == "http"));
    if (!port.http() && port.routes_size() > 0)
        return fail(Errc::kInvalid, "label {}: virtual hosts need mode http", of.label("MODE"));
    const std::string* balance = of.find("BALANCE");
    port.set_least_connections(balance != nullptr && *balance == "leastconn");
    return {};
}

Result<void> read_options(const PortLabels& of, wire::EdgePort& port) {
    TRY_ASSIGN(const bool redirect, of.flag("REDIRECT_TO_HTTPS"));
    TRY_ASSIGN(const bool hsts, of.flag("USE_HSTS"));
    TRY_ASSIGN(const bool sticky, of.flag("STICKY"));
    port.set_redirect_to_https(redirect);
    port.set_hsts(hsts);
    port.set_sticky(sticky);
    port.set_tls(of.find("SSL_CERT") != nullptr);
    const std::string* sources = of.find("BACKEND_NETWORK_ALLOWED_ACL");
    if (sources == nullptr) return {};
    for (std::string& source : split(*sources, " ,")) {
        auto network = IpNetwork::parse(source);
        if (!network) return pass(std::move(network), "label " + of.label("BACKEND_NETWORK_ALLOWED_ACL"));
        port.add_allowed_sources(std::move(source));
    }
    return {};
}

}  // namespace

Result<std::vector<wire::EdgePort>> ports_from_labels(const std::map<std::string, std::string>& labels,
                                                      const std::vector<LabelledPort>& ports) {
    std::vector<wire::EdgePort> all;
    for (size_t i = 0; i < ports.size(); ++i) {
        const PortLabels of(labels, i);
        wire::EdgePort port;
        port.set_index(static_cast<uint32_t>(i));
        TRY_ASSIGN(const int32_t number,
                   of.number("PORT", static_cast<int32_t>(ports[i].service_port), 0, 65535));
        port.set_service_port(static_cast<uint32_t>(number));
        TRY(read_groups(labels, of, port));
        TRY(read_routes(of, port));
        TRY(read_mode(of, ports[i].http_check, port));
        TRY(read_options(of, port));
        all.push_back(std::move(port));
    }
    return all;
}

}  // namespace smackd::core::ingress
