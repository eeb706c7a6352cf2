#include "core/dns/records.h"

#include <algorithm>
#include <format>

#include "core/ascii.h"

namespace smackd::core::dns {
namespace {

constexpr uint16_t kSrvWeight = 1;  // as Mesos-DNS since 0.6
constexpr uint32_t kTtlMaxS = 86400;

using Strings = google::protobuf::RepeatedPtrField<std::string>;

Record address_record(const IpAddress& address, uint32_t ttl_s, TenantId tenant) {
    return {.type = address.is_v4() ? kTypeA : kTypeAaaa,
            .tenant = tenant,
            .ttl_s = ttl_s,
            .data = Bytes(address.bytes())};
}

Record server_record(const Bytes& target, uint32_t port, uint32_t ttl_s, TenantId tenant,
                     uint32_t priority = 0, uint32_t weight = kSrvWeight) {
    Record record{.type = kTypeSrv, .tenant = tenant, .ttl_s = ttl_s, .data = Bytes(6, '\0')};
    write_u16(record.data.data(), static_cast<uint16_t>(priority));
    write_u16(record.data.data() + 2, static_cast<uint16_t>(weight));
    write_u16(record.data.data() + 4, static_cast<uint16_t>(port));
    record.data += target;
    return record;
}

std::vector<IpAddress> addresses_of(const Strings& texts) {
    std::vector<IpAddress> addresses;
    for (const std::string& text : texts) {
        if (auto address = IpAddress::parse(text)) addresses.push_back(*address);
    }
    return addresses;
}

/// Collects records; names that are too long for DNS are not there (Mesos-DNS does the same).
class Collector {
 public:
    Collector(uint32_t ttl_s, TenantId tenant) : ttl_s_(ttl_s), tenant_(tenant) {}

    void add_addresses(std::string_view name, const std::vector<IpAddress>& addresses) {
        auto wire = name_to_wire(name);
        if (!wire) return;
        for (const IpAddress& address : addresses)
            records_.push_back({*wire, address_record(address, ttl_s_, tenant_)});
    }
    void add_server(std::string_view name, std::string_view target, uint32_t port) {
        auto wire = name_to_wire(name);
        auto target_wire = name_to_wire(target);
        if (!wire || !target_wire || port == 0 || port > 65535) return;
        records_.push_back({std::move(*wire), server_record(*target_wire, port, ttl_s_, tenant_)});
    }
    void add_apex(std::string_view name) {
        auto wire = name_to_wire(name);
        if (wire) records_.push_back({std::move(*wire), Record{.type = kTypeApex, .data = {}}});
    }
    std::vector<NamedRecord> take() { return std::move(records_); }

 private:
    uint32_t ttl_s_;
    TenantId tenant_;
    std::vector<NamedRecord> records_;
};

bool is_under(std::string_view name, std::string_view domain) {
    return name == domain || (name.ends_with(domain) && name.size() > domain.size() &&
                              name[name.size() - domain.size() - 1] == '.');
}

bool speaks(const wire::EdgeTaskPort& port, std::string_view protocol) {
    return port.protocol().empty() ? protocol == "tcp" : port.protocol().find(protocol) != std::string::npos;
}

void add_ports(Collector& out, const wire::EdgeTask& task, const std::string& label,
               const std::string& canonical, const std::string& framework, const std::string& domain) {
    const bool own = task.addresses_size() > 0;
    for (std::string_view protocol : {"tcp", "udp"}) {
        const std::string service = std::format("_{}._{}.{}", label, protocol, framework);
        for (const wire::EdgeTaskPort& port : task.ports()) {
            if (!speaks(port, protocol)) continue;
            const uint32_t here =
                own && port.container_port() != 0 ? port.container_port() : port.host_port();
            out.add_server(service + "." + domain, canonical + "." + domain, here);
            out.add_server(service + ".slave." + domain, canonical + ".slave." + domain, port.host_port());
            const std::string name = mangle_label(port.name());
            if (!name.empty())
                out.add_server(std::format("_{}.{}.{}", name, service, domain), canonical + "." + domain,
                               here);
        }
    }
}

}  // namespace

NameRules NameRules::of(const wire::EdgeSettings& settings) {
    NameRules rules;
    if (!settings.domain().empty()) rules.domain = core::ascii_lower(settings.domain());
    if (rules.domain.ends_with('.')) rules.domain.pop_back();
    if (settings.ttl_s() != 0) rules.ttl_s = std::min(settings.ttl_s(), kTtlMaxS);
    return rules;
}

bool is_named(const wire::EdgeTask& task) {
    return task.running() && !task.draining() && task.health() != wire::EdgeTask::UNHEALTHY;
}

std::vector<NamedRecord> records_of(const wire::EdgeTask& task, const NameRules& rules, TenantId tenant) {
    if (!is_named(task)) return {};
    const std::string dotted = mangle_labels(task.name());
    const std::string label = mangle_label(task.name());
    const std::string framework = mangle_labels(task.framework().empty() ? "marathon" : task.framework());
    if (label.empty() || framework.empty()) return {};
    std::string tail = "-" + task_hash(task.id());
    if (const std::string agent = agent_suffix(task.agent()); !agent.empty()) tail += "-" + agent;
    const std::string canonical =
        label.substr(0, kLabelBytesMax - std::min(tail.size(), kLabelBytesMax)) + tail;

    const std::vector<IpAddress> host = addresses_of(task.host_addresses());
    std::vector<IpAddress> own = addresses_of(task.addresses());
    if (own.empty()) own = host;
    Collector out(rules.ttl_s, tenant);
    const std::string in_domain = "." + framework + "." + rules.domain;
    const std::string on_host = "." + framework + ".slave." + rules.domain;
    if (dotted != label) {
        out.add_addresses(dotted + in_domain, own);
        out.add_addresses(dotted + on_host, host);
    }
    out.add_addresses(label + in_domain, own);
    out.add_addresses(canonical + in_domain, own);
    out.add_addresses(label + on_host, host);
    out.add_addresses(canonical + on_host, host);
    add_ports(out, task, label, canonical + "." + framework, framework, rules.domain);
    return out.take();
}

Result<std::vector<NamedRecord>> records_of(const wire::EdgeName& name, const NameRules& rules,
                                            TenantId tenant) {
    auto wire = name_to_wire(name.name());
    if (!wire) return pass(std::move(wire), std::format("names '{}'", name.name()));
    if (wire->size() == 1) return fail(Errc::kInvalid, "names: the root cannot be a name of ours");
    const uint32_t ttl_s = name.ttl_s() == 0 ? rules.ttl_s : std::min(name.ttl_s(), kTtlMaxS);
    std::vector<NamedRecord> records;
    if (!name.alias().empty()) {
        auto target = name_to_wire(name.alias());
        if (!target) return pass(std::move(target), std::format("alias of '{}'", name.name()));
        if (name.addresses_size() > 0 || name.servers_size() > 0)
            return fail(Errc::kInvalid, "names '{}': an alias has nothing else (RFC 1034 section 3.6.2)",
                        name.name());
        records.push_back(
            {*wire, Record{.type = kTypeCname, .tenant = tenant, .ttl_s = ttl_s, .data = *target}});
    }
    for (const std::string& text : name.addresses()) {
        auto address = IpAddress::parse(text);
        if (!address) return pass(std::move(address), std::format("addresses of '{}'", name.name()));
        records.push_back({*wire, address_record(*address, ttl_s, tenant)});
    }
    for (const wire::EdgeName::Server& server : name.servers()) {
        auto target = name_to_wire(server.target());
        if (!target) return pass(std::move(target), std::format("server of '{}'", name.name()));
        if (server.port() > 65535 || server.priority() > 65535 || server.weight() > 65535)
            return fail(Errc::kInvalid, "servers of '{}': port, priority and weight are at most 65535",
                        name.name());
        records.push_back({*wire, server_record(*target, server.port(), ttl_s, tenant, server.priority(),
                                                server.weight())});
    }
    const std::string text = name_to_text(*wire);
    if (!is_under(text, rules.domain) && !is_under(text, kOwnDomain))
        records.push_back({*wire, Record{.type = kTypeApex, .tenant = tenant, .data = {}}});
    return records;
}

namespace {

void add_hosts(Collector& out, const wire::EdgeSettings& settings, const NameRules& rules) {
    const std::string& domain = rules.domain;
    size_t servers = 0;
    for (const wire::EdgeHost& host : settings.hosts()) {
        const std::vector<IpAddress> addresses = addresses_of(host.addresses());
        if (const std::string name = mangle_labels(host.name()); !name.empty())
            out.add_addresses(name + ".node.smack", addresses);
        if (host.server()) {
            out.add_addresses("master." + domain, addresses);
            out.add_addresses(std::format("master{}.{}", servers++, domain), addresses);
        }
        if (!host.agent()) continue;
        out.add_addresses("slave." + domain, addresses);
        const uint32_t port = settings.agent_port() == 0 ? 5051 : settings.agent_port();
        out.add_server("_slave._tcp." + domain, "slave." + domain, port);
    }
}

void add_leader(Collector& out, const wire::EdgeSettings& settings, const NameRules& rules) {
    const std::vector<IpAddress> leader = addresses_of(settings.leader_addresses());
    if (leader.empty()) return;
    const std::string name = "leader." + rules.domain;
    const uint32_t port = settings.leader_port() == 0 ? 5050 : settings.leader_port();
    out.add_addresses(name, leader);
    out.add_addresses("leader.smack", leader);
    out.add_server("_leader._tcp." + rules.domain, name, port);
    out.add_server("_leader._udp." + rules.domain, name, port);
    std::vector<std::string> frameworks{"marathon"};
    frameworks.insert(frameworks.end(), settings.frameworks().begin(), settings.frameworks().end());
    for (const std::string& framework : frameworks) {
        const std::string mangled = mangle_labels(framework);
        if (mangled.empty()) continue;
        out.add_addresses(mangled + "." + rules.domain, leader);
        out.add_server(std::format("_framework._tcp.{}.{}", mangled, rules.domain),
                       mangled + "." + rules.domain, port);
    }
}

void check_addresses(const Strings& texts, std::string_view field, std::vector<std::string>& problems) {
    for (const std::string& text : texts) {
        if (!IpAddress::parse(text))
            problems.push_back(std::format("{}: '{}' is no IP address", field, text));
    }
}

}  // namespace

std::vector<NamedRecord> records_of(const wire::EdgeSettings& settings, const NameRules& rules,
                                    std::vector<std::string>& problems) {
    Collector out(rules.ttl_s, kEverybody);
    if (!name_to_wire(rules.domain) || rules.domain.empty())
        problems.push_back(std::format("settings.domain: '{}' is no domain name", rules.domain));
    out.add_apex(rules.domain);
    out.add_apex(kOwnDomain);
    out.add_apex("thisdcos.directory");
    check_addresses(settings.leader_addresses(), "settings.leader_addresses", problems);
    check_addresses(settings.name_server_addresses(), "settings.name_server_addresses", problems);
    out.add_addresses("ns1." + rules.domain, addresses_of(settings.name_server_addresses()));
    add_leader(out, settings, rules);
    add_hosts(out, settings, rules);
    for (const wire::EdgeGroup& group : settings.groups()) {
        check_addresses(group.dns_addresses(), std::format("dns_addresses of group '{}'", group.name()),
                        problems);
        for (const std::string& name : group.dns_names()) {
            if (auto wire = name_to_wire(name); !wire) problems.push_back(wire.error().message);
            out.add_addresses(name, addresses_of(group.dns_addresses()));
        }
    }
    return out.take();
}

std::vector<SuffixAlias> aliases(const NameRules& rules) {
    std::vector<SuffixAlias> all;
    auto add = [&](const std::string& suffix, const std::string& instead) {
        auto from = name_to_wire(suffix);
        auto to = name_to_wire(instead);
        if (from && to) all.push_back({std::move(*from), std::move(*to)});
    };
    // The longer suffix first.
    add("agentip.dcos.thisdcos.directory", "slave." + rules.domain);
    add("containerip.dcos.thisdcos.directory", rules.domain);
    add("autoip.dcos.thisdcos.directory", rules.domain);
    add("mesos.thisdcos.directory", rules.domain);
    add("smack", "marathon." + rules.domain);
    return all;
}

Authority authority(const NameRules& rules, uint64_t revision) {
    auto server = name_to_wire("ns1." + rules.domain);
    auto mailbox = name_to_wire("root.ns1." + rules.domain);
    return {.name_server = server.value_or(Bytes(1, '\0')),
            .mailbox = mailbox.value_or(Bytes(1, '\0')),
            .serial = static_cast<uint32_t>(revision),
            .ttl_s = rules.ttl_s};
}

}  // namespace smackd::core::dns
