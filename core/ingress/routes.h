// Where a request goes: listeners, virtual hosts and paths, pools of backends. Built from the edge's table as
// a whole and never changed; who works with one keeps it until done.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/edge_table.h"
#include "core/ip_address.h"

namespace smackd::core::ingress {

struct Backend {
    std::string address;  ///< "10.0.0.7:31001"
    std::string task;     ///< its id
    uint32_t cookie = 0;  ///< stands for it in the cookie of a sticky pool
    bool operator==(const Backend&) const = default;
};

/// One port of an app with the tasks that serve it, in the order of their ids.
struct Pool {
    std::string app;
    uint32_t port_index = 0;
    std::string key;  ///< names the pool over all tables
    bool http = false;
    bool tls = false;  ///< on its service port
    bool redirect_to_https = false;
    bool hsts = false;
    bool sticky = false;
    bool least_connections = false;
    std::vector<IpNetwork> allowed_sources;  ///< none: everybody
    std::vector<Backend> backends;

    bool allows(const IpAddress& source) const;
};
using PoolPtr =
    std::shared_ptr<const Pool>;  ///< shared by tables and the requests that began under an older one

struct PathRule {
    std::string prefix;
    int32_t weight = 0;
    PoolPtr pool;
};

/// Host name -> paths in the order they are tried.
class VirtualHosts {
 public:
    /// The pool for a request; nullptr when nobody has that name or path. `host` is lower case without port;
    /// a rule for "*.example.org" takes what no rule names, one label deep.
    PoolPtr find(std::string_view host, std::string_view path) const;
    bool knows(std::string_view host) const { return rules_of(host) != nullptr; }
    /// False when another pool has this host and path already.
    bool add(const std::string& host, PathRule rule);

 private:
    struct Hash {
        using is_transparent = void;
        size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
    };
    const std::vector<PathRule>* rules_of(std::string_view host) const;
    std::unordered_map<std::string, std::vector<PathRule>, Hash, std::equal_to<>> hosts_;
};

/// What a TCP listener is for.
struct ListenerPlan {
    bool tls = false;
    PoolPtr pool;                               ///< a service port; else by virtual host
    std::shared_ptr<const VirtualHosts> hosts;  ///< shared by the tables in use
    uint16_t port = 0;
    uint16_t https_port = 0;  ///< where virtual hosts of the same group speak TLS; 0: nowhere
};

struct Routes {
    std::map<std::string, ListenerPlan> listeners;  ///< by "ADDRESS:PORT"
    std::vector<PoolPtr> pools;
};

/// Builds all of it. What cannot be used (two apps with one name or port, malformed addresses) is left out
/// and named in `problems`; of two apps the one with the lower id keeps what both want.
std::shared_ptr<const Routes> build_routes(const EdgeState& state, std::vector<std::string>& problems);

/// True for tasks that get requests: running, not ill or unchecked, not on their way out.
bool takes_requests(const wire::EdgeTask& task);
/// "ADDRESS:PORT" of one port of a task; empty when it has none.
std::string backend_address(const wire::EdgeTask& task, uint32_t port_index);

}  // namespace smackd::core::ingress
