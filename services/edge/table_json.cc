#include "services/edge/table_json.h"

#include <functional>
#include <limits>
#include <map>

namespace smackd::edge {
namespace {

using core::Errc;
using core::Json;
using core::Result;

/// Reads one member of an object into a field.
using Reader = std::function<Result<void>(const Json&)>;
using Readers = std::map<std::string_view, Reader>;

Result<void> read_object(const Json& json, std::string_view what, const Readers& readers) {
    if (!json.is_object()) return core::fail(Errc::kInvalid, "{}: must be an object", what);
    for (const auto& [name, value] : json.as_object()) {
        auto reader = readers.find(name);
        if (reader == readers.end()) return core::fail(Errc::kInvalid, "{}: unknown member '{}'", what, name);
        if (auto done = reader->second(value); !done) return core::pass(std::move(done), name);
    }
    return {};
}

template <class Set>
Reader text(Set set) {
    return [set](const Json& json) -> Result<void> {
        if (!json.is_string()) return core::fail(Errc::kInvalid, "must be a string");
        set(json.as_string());
        return {};
    };
}

template <class Set>
Reader flag(Set set) {
    return [set](const Json& json) -> Result<void> {
        if (!json.is_bool()) return core::fail(Errc::kInvalid, "must be true or false");
        set(json.as_bool());
        return {};
    };
}

template <class Set>
Reader number(Set set, int64_t most = std::numeric_limits<uint32_t>::max(), int64_t least = 0) {
    return [set, most, least](const Json& json) -> Result<void> {
        if (!json.is_integer() || json.as_integer() < least || json.as_integer() > most)
            return core::fail(Errc::kInvalid, "must be a number from {} to {}", least, most);
        set(json.as_integer());
        return {};
    };
}

template <class Read>
Reader list(Read read) {
    return [read](const Json& json) -> Result<void> {
        if (!json.is_array()) return core::fail(Errc::kInvalid, "must be a list");
        size_t index = 0;
        for (const Json& element : json.as_array()) {
            auto done = read(element);
            if (!done) return core::pass(std::move(done), std::format("[{}]", index));
            ++index;
        }
        return {};
    };
}

Reader texts(google::protobuf::RepeatedPtrField<std::string>* into) {
    return list([into](const Json& json) -> Result<void> {
        if (!json.is_string()) return core::fail(Errc::kInvalid, "must be a string");
        into->Add(std::string(json.as_string()));
        return {};
    });
}

/// A list of objects, each read into a new element.
template <class Element>
Reader objects(google::protobuf::RepeatedPtrField<Element>* into,
               Result<void> (*read)(const Json&, Element&)) {
    return list([into, read](const Json& json) { return read(json, *into->Add()); });
}

constexpr int64_t kPortMax = 65535;

Result<void> read_route(const Json& json, wire::EdgeRoute& route) {
    return read_object(
        json, "route",
        {{"host", text([&](const std::string& v) { route.set_host(v); })},
         {"path", text([&](const std::string& v) { route.set_path(v); })},
         {"weight", number([&](int64_t v) { route.set_weight(static_cast<int32_t>(v)); },
                           std::numeric_limits<int32_t>::max(), std::numeric_limits<int32_t>::min())}});
}

Result<void> read_port(const Json& json, wire::EdgePort& port) {
    auto set = [&](auto setter) {
        return [&port, setter](int64_t v) { (port.*setter)(static_cast<uint32_t>(v)); };
    };
    auto on = [&](auto setter) { return flag([&port, setter](bool v) { (port.*setter)(v); }); };
    return read_object(json, "port",
                       {{"index", number(set(&wire::EdgePort::set_index))},
                        {"service_port", number(set(&wire::EdgePort::set_service_port), kPortMax)},
                        {"http", on(&wire::EdgePort::set_http)},
                        {"groups", texts(port.mutable_groups())},
                        {"routes", objects(port.mutable_routes(), read_route)},
                        {"redirect_to_https", on(&wire::EdgePort::set_redirect_to_https)},
                        {"hsts", on(&wire::EdgePort::set_hsts)},
                        {"sticky", on(&wire::EdgePort::set_sticky)},
                        {"tls", on(&wire::EdgePort::set_tls)},
                        {"allowed_sources", texts(port.mutable_allowed_sources())},
                        {"least_connections", on(&wire::EdgePort::set_least_connections)}});
}

Result<void> read_app(const Json& json, wire::EdgeApp& app) {
    return read_object(json, "app",
                       {{"id", text([&](const std::string& v) { app.set_id(v); })},
                        {"tenant", text([&](const std::string& v) { app.set_tenant(v); })},
                        {"ports", objects(app.mutable_ports(), read_port)}});
}

Result<void> read_task_port(const Json& json, wire::EdgeTaskPort& port) {
    return read_object(
        json, "port",
        {{"name", text([&](const std::string& v) { port.set_name(v); })},
         {"protocol", text([&](const std::string& v) { port.set_protocol(v); })},
         {"host_port", number([&](int64_t v) { port.set_host_port(static_cast<uint32_t>(v)); }, kPortMax)},
         {"container_port",
          number([&](int64_t v) { port.set_container_port(static_cast<uint32_t>(v)); }, kPortMax)},
         {"backend", text([&](const std::string& v) { port.set_backend(v); })}});
}

Result<void> read_task(const Json& json, wire::EdgeTask& task) {
    auto health = [&](const Json& value) -> Result<void> {
        constexpr std::string_view kNames[] = {"no_checks", "pending", "healthy", "unhealthy"};
        for (int i = 0; i < 4; ++i) {
            if (value.as_string() != kNames[i]) continue;
            task.set_health(static_cast<wire::EdgeTask::Health>(i));
            return {};
        }
        return core::fail(Errc::kInvalid, "must be no_checks, pending, healthy or unhealthy");
    };
    task.set_running(true);
    return read_object(json, "task",
                       {{"id", text([&](const std::string& v) { task.set_id(v); })},
                        {"app", text([&](const std::string& v) { task.set_app(v); })},
                        {"tenant", text([&](const std::string& v) { task.set_tenant(v); })},
                        {"framework", text([&](const std::string& v) { task.set_framework(v); })},
                        {"name", text([&](const std::string& v) { task.set_name(v); })},
                        {"agent", text([&](const std::string& v) { task.set_agent(v); })},
                        {"host_addresses", texts(task.mutable_host_addresses())},
                        {"addresses", texts(task.mutable_addresses())},
                        {"sources", texts(task.mutable_sources())},
                        {"running", flag([&](bool v) { task.set_running(v); })},
                        {"health", health},
                        {"draining", flag([&](bool v) { task.set_draining(v); })},
                        {"ports", objects(task.mutable_ports(), read_task_port)}});
}

Result<void> read_server(const Json& json, wire::EdgeName::Server& server) {
    return read_object(
        json, "server",
        {{"target", text([&](const std::string& v) { server.set_target(v); })},
         {"port", number([&](int64_t v) { server.set_port(static_cast<uint32_t>(v)); }, kPortMax)},
         {"priority", number([&](int64_t v) { server.set_priority(static_cast<uint32_t>(v)); }, kPortMax)},
         {"weight", number([&](int64_t v) { server.set_weight(static_cast<uint32_t>(v)); }, kPortMax)}});
}

Result<void> read_name(const Json& json, wire::EdgeName& name) {
    return read_object(json, "name",
                       {{"name", text([&](const std::string& v) { name.set_name(v); })},
                        {"addresses", texts(name.mutable_addresses())},
                        {"servers", objects(name.mutable_servers(), read_server)},
                        {"alias", text([&](const std::string& v) { name.set_alias(v); })},
                        {"ttl_s", number([&](int64_t v) { name.set_ttl_s(static_cast<uint32_t>(v)); })},
                        {"tenant", text([&](const std::string& v) { name.set_tenant(v); })}});
}

Result<void> read_certificate(const Json& json, wire::EdgeCertificate& certificate) {
    return read_object(json, "certificate",
                       {{"id", text([&](const std::string& v) { certificate.set_id(v); })},
                        {"server_names", texts(certificate.mutable_server_names())},
                        {"chain_pem", text([&](const std::string& v) { certificate.set_chain_pem(v); })},
                        {"key_pem", text([&](const std::string& v) { certificate.set_key_pem(v); })}});
}

Result<void> read_group(const Json& json, wire::EdgeGroup& group) {
    return read_object(json, "group",
                       {{"name", text([&](const std::string& v) { group.set_name(v); })},
                        {"dns_names", texts(group.mutable_dns_names())},
                        {"dns_addresses", texts(group.mutable_dns_addresses())},
                        {"bind_addresses", texts(group.mutable_bind_addresses())},
                        {"http_listeners", texts(group.mutable_http_listeners())},
                        {"https_listeners", texts(group.mutable_https_listeners())}});
}

Result<void> read_host(const Json& json, wire::EdgeHost& host) {
    return read_object(json, "host",
                       {{"name", text([&](const std::string& v) { host.set_name(v); })},
                        {"addresses", texts(host.mutable_addresses())},
                        {"server", flag([&](bool v) { host.set_server(v); })},
                        {"agent", flag([&](bool v) { host.set_agent(v); })}});
}

Result<void> read_settings(const Json& json, wire::EdgeSettings& settings) {
    auto set = [&](auto setter, int64_t most = std::numeric_limits<uint32_t>::max()) {
        return number([&settings, setter](int64_t v) { (settings.*setter)(static_cast<uint32_t>(v)); }, most);
    };
    using S = wire::EdgeSettings;
    return read_object(json, "settings",
                       {{"domain", text([&](const std::string& v) { settings.set_domain(v); })},
                        {"ttl_s", set(&S::set_ttl_s)},
                        {"dns_listeners", texts(settings.mutable_dns_listeners())},
                        {"forwarders", texts(settings.mutable_forwarders())},
                        {"groups", objects(settings.mutable_groups(), read_group)},
                        {"hosts", objects(settings.mutable_hosts(), read_host)},
                        {"leader_addresses", texts(settings.mutable_leader_addresses())},
                        {"leader_port", set(&S::set_leader_port, kPortMax)},
                        {"agent_port", set(&S::set_agent_port, kPortMax)},
                        {"name_server_addresses", texts(settings.mutable_name_server_addresses())},
                        {"frameworks", texts(settings.mutable_frameworks())},
                        {"api_hosts", texts(settings.mutable_api_hosts())},
                        {"api_cookies", texts(settings.mutable_api_cookies())},
                        {"token_issuer", text([&](const std::string& v) { settings.set_token_issuer(v); })},
                        {"dns_rate_per_source", set(&S::set_dns_rate_per_source)},
                        {"connections_per_source", set(&S::set_connections_per_source)},
                        {"drain_s", set(&S::set_drain_s)},
                        {"task_networks", texts(settings.mutable_task_networks())}});
}

}  // namespace

Result<wire::EdgeTable> table_from_json(const Json& json) {
    wire::EdgeTable table;
    constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
    TRY(read_object(
        json, "table",
        {{"epoch", number([&](int64_t v) { table.set_epoch(static_cast<uint64_t>(v)); }, kMost)},
         {"revision", number([&](int64_t v) { table.set_revision(static_cast<uint64_t>(v)); }, kMost)},
         {"settings", [&](const Json& value) { return read_settings(value, *table.mutable_settings()); }},
         {"apps", objects(table.mutable_apps(), read_app)},
         {"tasks", objects(table.mutable_tasks(), read_task)},
         {"names", objects(table.mutable_names(), read_name)},
         {"certificates", objects(table.mutable_certificates(), read_certificate)}}));
    return table;
}

}  // namespace smackd::edge
