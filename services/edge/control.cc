#include "services/edge/control.h"

#include <fcntl.h>
#include <unistd.h>

#include <format>

#include "net/system_clock.h"

namespace smackd::edge {

using core::Result;
namespace dns = core::dns;

namespace {

constexpr size_t kProblemsMax = 100;  // told of one revision

std::string task_owner(std::string_view id) {
    return std::format("task {}", id);
}
std::string name_owner(std::string_view name) {
    return std::format("name {}", name);
}

std::string listener_name(const wire::EdgeListener& listener) {
    return std::format("{} {}", listener.kind() == wire::EdgeListener::UDP ? "udp" : "tcp",
                       listener.address());
}

}  // namespace

Control::Control(DataLoops loops, bool make_listeners, core::Logger logger)
    : loops_(loops), make_listeners_(make_listeners), logger_(std::move(logger)) {}

Control::~Control() {
    for (auto& [name, wanted] : listeners_) forget_copy(wanted);
}

void Control::forget_copy(Wanted& wanted) {
    if (wanted.copy >= 0) ::close(std::exchange(wanted.copy, -1));
}

Result<std::vector<std::string>> Control::replace(wire::EdgeTable table) {
    TRY(state_.replace(std::move(table)));
    std::vector<std::string> problems;
    rebuild_zone(problems);
    rebuild_certificates(problems);
    rebuild_routes(problems);
    sync_listeners(problems);
    if (problems.size() > kProblemsMax) problems.resize(kProblemsMax);
    return problems;
}

Result<std::vector<std::string>> Control::apply(wire::EdgeDelta delta) {
    const wire::EdgeDelta changes = delta;
    TRY(state_.apply(std::move(delta)));
    std::vector<std::string> problems;
    if (changes.has_settings()) {
        rebuild_zone(problems);
    } else {
        update_zone(changes, problems);
    }
    if (changes.certificates_size() > 0 || changes.removed_certificates_size() > 0)
        rebuild_certificates(problems);
    if (changes.has_settings() || changes.apps_size() > 0 || changes.tasks_size() > 0 ||
        changes.removed_apps_size() > 0 || changes.removed_tasks_size() > 0)
        rebuild_routes(problems);
    sync_listeners(problems);
    if (problems.size() > kProblemsMax) problems.resize(kProblemsMax);
    return problems;
}

dns::TenantId Control::tenant_of(const wire::EdgeTask& task) const {
    if (!task.tenant().empty()) return tenants_.of(task.tenant());
    auto app = state_.apps().find(task.app());
    return app == state_.apps().end() ? dns::kEverybody : tenants_.of(app->second.tenant());
}

ZoneChange Control::change_of(const wire::EdgeTask& task) const {
    ZoneChange change{
        .owner = task_owner(task.id()), .records = {}, .sources = {}, .tenant = tenant_of(task)};
    change.records = dns::records_of(task, dns::NameRules::of(state_.settings()), change.tenant);
    // Its own addresses only: whoever asks from the host's may be anybody.
    for (const auto* texts : {&task.addresses(), &task.sources()}) {
        for (const std::string& text : *texts) {
            if (auto address = core::IpAddress::parse(text)) change.sources.push_back(*address);
        }
    }
    return change;
}

ZoneChange Control::change_of(const wire::EdgeName& name, std::vector<std::string>& problems) {
    ZoneChange change{.owner = name_owner(name.name()), .records = {}, .sources = {}};
    auto records = dns::records_of(name, dns::NameRules::of(state_.settings()), tenants_.of(name.tenant()));
    if (records) {
        change.records = std::move(*records);
    } else {
        problems.push_back(records.error().message);
    }
    return change;
}

void Control::rebuild_zone(std::vector<std::string>& problems) {
    const wire::EdgeSettings& settings = state_.settings();
    const dns::NameRules rules = dns::NameRules::of(settings);
    auto zone = std::make_unique<dns::Zone>();
    zone->authority = dns::authority(rules, state_.revision());
    zone->aliases = dns::aliases(rules);
    zone->set("settings", dns::records_of(settings, rules, problems));
    for (const std::string& text : settings.task_networks()) {
        auto network = core::IpNetwork::parse(text);
        if (network) {
            zone->task_networks.push_back(*network);
        } else {
            problems.push_back("settings.task_networks: " + network.error().message);
        }
    }
    for (const auto& [id, task] : state_.tasks()) apply_change(*zone, change_of(task));
    for (const auto& [text, name] : state_.names()) apply_change(*zone, change_of(name, problems));

    std::vector<net::Address> forwarders;
    for (const std::string& text : settings.forwarders()) {
        auto address = net::Address::parse(text);
        if (address) {
            forwarders.push_back(*address);
        } else {
            problems.push_back("settings.forwarders: " + address.error().message);
        }
    }
    const uint32_t rate = settings.dns_rate_per_source();
    loops_.dns_loop.post(
        [&server = loops_.dns, moved = std::move(zone), forwarders, rate]() mutable {
            server.set_zone(std::move(moved));
            server.set_forwarders(std::move(forwarders));
            server.set_rate(rate);
        },
        "zone");
}

void Control::update_zone(const wire::EdgeDelta& delta, std::vector<std::string>& problems) {
    std::vector<ZoneChange> changes;
    for (const std::string& id : delta.removed_tasks())
        changes.push_back({task_owner(id), {}, {}, dns::kEverybody});
    for (const std::string& name : delta.removed_names())
        changes.push_back({name_owner(name), {}, {}, dns::kEverybody});
    for (const wire::EdgeTask& task : delta.tasks()) changes.push_back(change_of(task));
    for (const wire::EdgeName& name : delta.names()) changes.push_back(change_of(name, problems));
    const auto serial = static_cast<uint32_t>(state_.revision());
    loops_.dns_loop.post([&server = loops_.dns, moved = std::move(changes),
                          serial]() mutable { server.change(std::move(moved), serial); },
                         "zone change");
}

void Control::rebuild_routes(std::vector<std::string>& problems) {
    routes_ = core::ingress::build_routes(state_, problems);
    const wire::EdgeSettings& settings = state_.settings();
    core::ingress::ApiCredentials api;
    api.cookies.assign(settings.api_cookies().begin(), settings.api_cookies().end());
    api.hosts.assign(settings.api_hosts().begin(), settings.api_hosts().end());
    api.token_issuer = settings.token_issuer();
    const uint32_t per_source = settings.connections_per_source();
    loops_.ingress_loop.post(
        [&ingress = loops_.ingress, routes = routes_, moved = std::move(api), per_source]() mutable {
            ingress.set_api(std::move(moved));
            ingress.set_connections_per_source(per_source);
            ingress.set_routes(std::move(routes));
        },
        "routes");
}

// One configuration with all certificates; the one without names, else the first, answers to unknown names.
void Control::rebuild_certificates(std::vector<std::string>& problems) {
    net::TlsServerOptions options;
    for (const auto& [id, certificate] : state_.certificates()) {
        // Tried alone first, so that a wrong one does not take the others with it.
        net::TlsServerOptions alone;
        alone.certificate_pem = certificate.chain_pem();
        alone.key_pem = certificate.key_pem();
        if (auto works = net::TlsConfig::server(alone); !works) {
            problems.push_back(std::format("certificate '{}': {}", id, works.error().message));
            continue;
        }
        if (options.certificate_pem.empty() || certificate.server_names_size() == 0) {
            options.certificate_pem = certificate.chain_pem();
            options.key_pem = certificate.key_pem();
        }
        for (const std::string& name : certificate.server_names())
            options.by_name.push_back({name, certificate.chain_pem(), certificate.key_pem()});
    }
    std::shared_ptr<const net::TlsConfig> config;
    if (options.certificate_pem.empty()) {
        if (fallback_.key_pem.empty()) {
            auto made = make_fallback_certificate(net::SystemClock().wall());
            if (!made) return problems.push_back("certificates: " + made.error().message);
            fallback_ = std::move(*made);
        }
        options.certificate_pem = fallback_.chain_pem;
        options.key_pem = fallback_.key_pem;
    }
    if (!options.certificate_pem.empty()) {
        if (!tickets_) {
            auto tickets = net::TlsTickets::make();
            if (!tickets) return problems.push_back("certificates: " + tickets.error().message);
            tickets_ = std::move(*tickets);
        }
        options.tickets = tickets_;
        options.alpn = {"http/1.1"};
        auto made = net::TlsConfig::server(std::move(options));
        if (!made) return problems.push_back("certificates: " + made.error().message);
        config = std::move(*made);
    }
    loops_.ingress_loop.post(
        [&ingress = loops_.ingress, moved = std::move(config)]() mutable {
            ingress.set_certificates(std::move(moved));
        },
        "certificates");
}

void Control::want(std::map<std::string, Wanted>& all, wire::EdgeListener::Kind kind,
                   const std::string& address, Purpose purpose) {
    wire::EdgeListener listener;
    listener.set_kind(kind);
    listener.set_address(address);
    all.emplace(listener_name(listener), Wanted{listener, purpose});
}

void Control::sync_listeners(std::vector<std::string>& problems) {
    std::map<std::string, Wanted> wanted;
    for (const std::string& address : state_.settings().dns_listeners()) {
        want(wanted, wire::EdgeListener::UDP, address, Purpose::kDns);
        want(wanted, wire::EdgeListener::TCP, address, Purpose::kDns);
    }
    for (const auto& [address, plan] : routes_->listeners)
        want(wanted, wire::EdgeListener::TCP, address, Purpose::kIngress);
    for (auto& [name, old] : listeners_) {
        auto still = wanted.find(name);
        if (still != wanted.end() && still->second.purpose == old.purpose) {
            still->second.open = old.open;
            still->second.copy = std::exchange(old.copy, -1);
        } else if (old.open) {
            close(name, old);
        }
    }
    listeners_ = std::move(wanted);
    for (std::string& problem : retry_listeners()) problems.push_back(std::move(problem));
}

std::vector<std::string> Control::retry_listeners() {
    std::vector<std::string> problems;
    if (!make_listeners_) return problems;
    for (auto& [name, wanted] : listeners_) {
        if (wanted.open) continue;
        if (auto opened = open(wanted); !opened) problems.push_back(opened.error().message);
    }
    return problems;
}

Result<void> Control::open(Wanted& wanted) {
    TRY_ASSIGN(const net::Address address, net::Address::parse(wanted.listener.address()));
    const bool udp = wanted.listener.kind() == wire::EdgeListener::UDP;
    TRY_ASSIGN(const int descriptor,
               net::open_listener(udp ? net::ListenKind::kUdp : net::ListenKind::kTcp, address));
    hand_over(wanted, listener_name(wanted.listener), descriptor);
    return {};
}

void Control::hand_over(Wanted& wanted, const std::string& name, int descriptor) {
    wanted.open = true;
    if (!make_listeners_) wanted.copy = ::fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
    if (wanted.purpose == Purpose::kIngress) {
        loops_.ingress_loop.post(
            [&ingress = loops_.ingress, address = wanted.listener.address(), descriptor, logger = logger_] {
                auto added = ingress.add_listener(address, descriptor);
                if (!added)
                    logger.error("a listener cannot be used",
                                 {{"listener", address}, {"why", added.error().message}});
            },
            "listener");
        return;
    }
    const bool udp = wanted.listener.kind() == wire::EdgeListener::UDP;
    loops_.dns_loop.post(
        [&server = loops_.dns, name, descriptor, udp, logger = logger_] {
            auto added = udp ? server.add_udp(name, descriptor) : server.add_tcp(name, descriptor);
            if (!added)
                logger.error("a listener cannot be used",
                             {{"listener", name}, {"why", added.error().message}});
        },
        "listener");
}

void Control::close(const std::string& name, Wanted& wanted) {
    forget_copy(wanted);
    if (wanted.purpose == Purpose::kIngress) {
        loops_.ingress_loop.post([&ingress = loops_.ingress,
                                  address = wanted.listener.address()] { ingress.remove_listener(address); },
                                 "listener");
        return;
    }
    loops_.dns_loop.post([&server = loops_.dns, name] { server.remove_listener(name); }, "listener");
}

std::vector<wire::EdgeListener> Control::wanted_listeners() const {
    std::vector<wire::EdgeListener> all;
    for (const auto& [name, wanted] : listeners_) all.emplace_back(wanted.listener).set_open(wanted.open);
    return all;
}

Result<bool> Control::give_listener(const wire::EdgeListener& listener, int descriptor) {
    auto wanted = listeners_.find(listener_name(listener));
    if (wanted == listeners_.end() || wanted->second.open) {
        ::close(descriptor);
        return false;
    }
    auto address = net::bound_address(descriptor);
    if (!address) {
        ::close(descriptor);
        return core::pass(std::move(address), listener.address());
    }
    hand_over(wanted->second, wanted->first, descriptor);
    return true;
}

std::vector<Control::Kept> Control::kept_listeners() const {
    std::vector<Kept> kept;
    for (const auto& [name, wanted] : listeners_) {
        if (wanted.copy >= 0) kept.push_back({wanted.listener, wanted.copy});
    }
    return kept;
}

/// By way of both data loops, behind the table that they are told before.
void Control::await_release(const std::string& task, core::Callback<void()> done) {
    std::vector<std::string> addresses;
    const auto found = state_.tasks().find(task);
    const int ports = found == state_.tasks().end() ? 0 : found->second.ports_size();
    for (int index = 0; index < ports; ++index) {
        std::string address = core::ingress::backend_address(found->second, static_cast<uint32_t>(index));
        if (!address.empty()) addresses.push_back(std::move(address));
    }
    auto ask = [&ingress = loops_.ingress, addresses = std::move(addresses),
                done = std::move(done)]() mutable {
        ingress.await_release(std::move(addresses), std::move(done));
    };
    loops_.dns_loop.post([&loop = loops_.ingress_loop,
                          ask = std::move(ask)]() mutable { loop.post(std::move(ask), "release"); },
                         "release");
}

void Control::drain() {
    for (auto& [name, wanted] : listeners_) forget_copy(wanted);
    loops_.dns_loop.post([&server = loops_.dns] { server.drain(); }, "drain");
    loops_.ingress_loop.post([&ingress = loops_.ingress] { ingress.drain(); }, "drain");
}

}  // namespace smackd::edge
