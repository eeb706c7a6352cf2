// What the edge routes to an app, read from its ports and labels (marathon-lb's HAPROXY_*, VIP_n).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/wire/app.pb.h"

namespace smackd::apps {

enum class RouteMode : uint8_t { kTcp, kHttp };

/// HTTP basic auth of a route: HAPROXY_{n}_AUTH=realm:user:crypted.
struct BasicAuth {
    std::string realm;
    std::string user;
    std::string crypted_password;
};

/// One port of an app on the edge. Backends are its running, healthy tasks: in container mode task address
/// and container port, else host address and host_ports[port_index].
struct Route {
    std::string app_id;
    uint32_t port_index = 0;          ///< into AppDefinition::ports
    std::vector<std::string> groups;  ///< "external", "internal", ...; empty: on no listener
    uint16_t service_port =
        0;  ///< the frontend's port: HAPROXY_{n}_PORT or the port's; 0: virtual hosts only
    RouteMode mode = RouteMode::kTcp;
    std::vector<std::string> virtual_hosts;  ///< lower case, without port
    std::vector<std::string> paths;          ///< prefixes; only with virtual hosts; empty: all
    bool paths_ignore_case = false;
    int32_t weight = 0;  ///< larger first; 1 with paths unless given
    bool sticky = false;
    bool redirect_to_https = false;
    bool hsts = false;
    bool enabled = false;      ///< HAPROXY_{n}_ENABLED: only looked at in a strict mode
    std::string bind_address;  ///< empty: as the group says
    std::string certificate;   ///< HAPROXY_{n}_SSL_CERT: TLS on the service port
    std::optional<BasicAuth> auth;
    std::vector<std::string> allowed_networks;  ///< CIDR; empty: all
    std::string strip_prefix;                   ///< HTTP_BACKEND_PROXYPASS_PATH
    std::string rewrite_location;               ///< HTTP_BACKEND_REVPROXY_PATH
    std::string redirect_root;                  ///< HTTP_BACKEND_REDIR
    std::string balance = "roundrobin";
    std::optional<uint32_t> health_check_port_index;
};

struct VirtualAddress {  ///< VIP_n of a port
    std::string name;    ///< "myapp" of "/myapp:80"; an IPv4 or IPv6 address when `is_address`
    bool is_address = false;
    uint16_t port = 0;
    uint32_t port_index = 0;
    bool tcp = true;
    bool udp = false;
};

/// A label that says nothing the edge can do: left out, and told to whoever submits the app.
struct RouteWarning {
    std::string label;
    std::string text;
};

struct Routes {
    std::vector<Route> routes;  ///< one per port that is in a group
    std::vector<VirtualAddress> virtual_addresses;
    std::vector<RouteWarning> warnings;  ///< labels that are known to marathon-lb but not to us
    std::vector<RouteWarning> errors;    ///< wrong values: the app is refused for them
    // HAPROXY_DEPLOYMENT_GROUP: apps with the same one share a backend while zdd.py moves traffic.
    std::string deployment_group;
    uint16_t deployment_alt_port = 0;
};
Routes routes_of(const wire::AppDefinition& app);

}  // namespace smackd::apps
