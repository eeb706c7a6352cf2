#include "core/ingress/routes.h"

#include <algorithm>
#include <format>
#include <set>

#include "core/bytes.h"

namespace smackd::core::ingress {
namespace {

std::string join(const std::string& address, uint32_t port) {
    const bool v6 = address.find(':') != std::string::npos;
    return v6 ? std::format("[{}]:{}", address, port) : std::format("{}:{}", address, port);
}

uint16_t port_of(const std::string& address) {
    const size_t colon = address.rfind(':');
    uint32_t port = 0;
    for (char c : std::string_view(address).substr(colon == std::string::npos ? address.size() : colon + 1))
        port = c >= '0' && c <= '9' && port <= 65535 ? port * 10 + static_cast<uint32_t>(c - '0') : 65536;
    return port <= 65535 ? static_cast<uint16_t>(port) : uint16_t{0};
}

bool goes_before(const PathRule& left, const PathRule& right) {
    if (left.weight != right.weight) return left.weight > right.weight;
    return left.prefix.size() > right.prefix.size();
}

using TasksByApp = std::map<std::string_view, std::vector<const wire::EdgeTask*>>;

/// Puts the tables together; one use.
class Builder {
 public:
    Builder(const EdgeState& state, std::vector<std::string>& problems)
        : state_(state), problems_(problems) {}

    std::shared_ptr<const Routes> build() {
        for (const auto& [id, task] : state_.tasks()) {
            if (!task.app().empty() && takes_requests(task)) tasks_[task.app()].push_back(&task);
        }
        for (const wire::EdgeGroup& group : state_.settings().groups()) add_group_listeners(group);
        for (const auto& [id, app] : state_.apps()) {
            for (const wire::EdgePort& port : app.ports()) {
                if (port.groups_size() > 0) add_port(app, port);
            }
        }
        for (auto& [address, hosts] : hosts_) routes_->listeners[address].hosts = hosts;
        return routes_;
    }

 private:
    void add_group_listeners(const wire::EdgeGroup& group);
    void add_group_listener(const std::string& group, const std::string& address, bool tls);
    void add_port(const wire::EdgeApp& app, const wire::EdgePort& port);
    PoolPtr make_pool(const wire::EdgeApp& app, const wire::EdgePort& port);
    void add_service_port(const wire::EdgePort& port, const PoolPtr& pool);
    void add_hosts(const wire::EdgePort& port, const PoolPtr& pool);

    const EdgeState& state_;
    std::vector<std::string>& problems_;
    std::shared_ptr<Routes> routes_ = std::make_shared<Routes>();
    TasksByApp tasks_;
    std::map<std::string, std::shared_ptr<VirtualHosts>> hosts_;       // by listener
    std::map<std::string, std::set<std::string>> listeners_of_group_;  // with virtual hosts
};

void Builder::add_group_listener(const std::string& group, const std::string& address, bool tls) {
    if (port_of(address) == 0) {
        problems_.push_back(std::format("group '{}': listener '{}' must be ADDRESS:PORT", group, address));
        return;
    }
    ListenerPlan& plan = routes_->listeners[address];
    plan.tls = plan.tls || tls;
    plan.port = port_of(address);
    auto& hosts = hosts_[address];
    if (hosts == nullptr) hosts = std::make_shared<VirtualHosts>();
    listeners_of_group_[group].insert(address);
}

void Builder::add_group_listeners(const wire::EdgeGroup& group) {
    for (const std::string& address : group.http_listeners())
        add_group_listener(group.name(), address, false);
    for (const std::string& address : group.https_listeners())
        add_group_listener(group.name(), address, true);
    for (const std::string& address : group.http_listeners()) {
        auto plan = routes_->listeners.find(address);
        if (plan != routes_->listeners.end() && group.https_listeners_size() > 0)
            plan->second.https_port = port_of(group.https_listeners(0));
    }
}

PoolPtr Builder::make_pool(const wire::EdgeApp& app, const wire::EdgePort& port) {
    auto pool = std::make_shared<Pool>();
    pool->app = app.id();
    pool->port_index = port.index();
    pool->key = std::format("{}#{}", app.id(), port.index());
    pool->http = port.http();
    pool->tls = port.tls();
    pool->redirect_to_https = port.redirect_to_https();
    pool->hsts = port.hsts();
    pool->sticky = port.sticky();
    pool->least_connections = port.least_connections();
    for (const std::string& text : port.allowed_sources()) {
        auto network = IpNetwork::parse(text);
        if (network) {
            pool->allowed_sources.push_back(*network);
        } else {
            problems_.push_back(std::format("{}: allowed_sources: {}", app.id(), network.error().message));
        }
    }
    // A list that nothing is left of must not mean everybody.
    if (port.allowed_sources_size() > 0 && pool->allowed_sources.empty())
        pool->allowed_sources.push_back(*IpNetwork::parse("255.255.255.255"));
    for (const wire::EdgeTask* task : tasks_[app.id()]) {
        std::string address = backend_address(*task, port.index());
        if (!address.empty()) pool->backends.push_back({std::move(address), task->id(), crc32c(task->id())});
    }
    return pool;
}

void Builder::add_service_port(const wire::EdgePort& port, const PoolPtr& pool) {
    if (port.service_port() == 0) return;
    if (port.service_port() > 65535) {
        problems_.push_back(
            std::format("{}: service port {} is above 65535", pool->app, port.service_port()));
        return;
    }
    for (const wire::EdgeGroup& group : state_.settings().groups()) {
        if (std::ranges::find(port.groups(), group.name()) == port.groups().end()) continue;
        for (const std::string& host : group.bind_addresses()) {
            const std::string address = join(host, port.service_port());
            auto [at, fresh] = routes_->listeners.try_emplace(address);
            if (fresh) {
                at->second = {port.tls(), pool, nullptr, static_cast<uint16_t>(port.service_port()), 0};
            } else if (at->second.pool != pool) {
                const std::string whose = at->second.pool ? at->second.pool->app : "virtual hosts";
                problems_.push_back(std::format("{}: {} belongs to {}", pool->app, address, whose));
            }
        }
    }
}

void Builder::add_hosts(const wire::EdgePort& port, const PoolPtr& pool) {
    std::set<std::string> listeners;
    for (const std::string& group : port.groups()) {
        const auto found = listeners_of_group_.find(group);
        if (found != listeners_of_group_.end()) listeners.insert(found->second.begin(), found->second.end());
    }
    for (const wire::EdgeRoute& route : port.routes()) {
        bool taken = false;
        for (const std::string& listener : listeners)
            taken |= !hosts_[listener]->add(route.host(), {route.path(), route.weight(), pool});
        if (taken)
            problems_.push_back(std::format("{}: virtual host {}{} belongs to another app", pool->app,
                                            route.host(), route.path()));
    }
}

void Builder::add_port(const wire::EdgeApp& app, const wire::EdgePort& port) {
    const PoolPtr pool = make_pool(app, port);
    routes_->pools.push_back(pool);
    add_service_port(port, pool);
    add_hosts(port, pool);
}

}  // namespace

bool Pool::allows(const IpAddress& source) const {
    return allowed_sources.empty() || std::ranges::any_of(allowed_sources, [&](const IpNetwork& network) {
               return network.contains(source);
           });
}

const std::vector<PathRule>* VirtualHosts::rules_of(std::string_view host) const {
    auto found = hosts_.find(host);
    if (found != hosts_.end()) return &found->second;
    const size_t dot = host.find('.');
    if (dot == std::string_view::npos) return nullptr;
    found = hosts_.find("*" + std::string(host.substr(dot)));
    return found == hosts_.end() ? nullptr : &found->second;
}

PoolPtr VirtualHosts::find(std::string_view host, std::string_view path) const {
    const std::vector<PathRule>* rules = rules_of(host);
    if (rules == nullptr) return nullptr;
    for (const PathRule& rule : *rules) {
        if (path.starts_with(rule.prefix)) return rule.pool;
    }
    return nullptr;
}

bool VirtualHosts::add(const std::string& host, PathRule rule) {
    std::vector<PathRule>& rules = hosts_[host];
    auto same = std::ranges::find(rules, rule.prefix, &PathRule::prefix);
    if (same != rules.end()) return same->pool == rule.pool;
    rules.insert(std::ranges::upper_bound(rules, rule, goes_before), std::move(rule));
    return true;
}

bool takes_requests(const wire::EdgeTask& task) {
    const bool well = task.health() == wire::EdgeTask::NO_CHECKS || task.health() == wire::EdgeTask::HEALTHY;
    return task.running() && !task.draining() && well;
}

std::string backend_address(const wire::EdgeTask& task, uint32_t port_index) {
    if (port_index >= static_cast<uint32_t>(task.ports_size())) return "";
    const wire::EdgeTaskPort& port = task.ports(static_cast<int>(port_index));
    if (!port.backend().empty()) return port.backend();
    if (task.addresses_size() > 0 && (port.container_port() != 0 || port.host_port() != 0))
        return join(task.addresses(0), port.container_port() != 0 ? port.container_port() : port.host_port());
    if (task.host_addresses_size() > 0 && port.host_port() != 0)
        return join(task.host_addresses(0), port.host_port());
    return "";
}

std::shared_ptr<const Routes> build_routes(const EdgeState& state, std::vector<std::string>& problems) {
    auto routes = Builder(state, problems).build();
    return routes;
}

}  // namespace smackd::core::ingress
