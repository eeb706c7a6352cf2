// /smack/v1/machines: the registry, and with the embedded realm the machines' principals.
#include "services/api/command_json.h"
#include "services/api/principals.h"
#include "services/api/resource.h"
#include "services/api/servers.h"

namespace smackd::services {
namespace {

using core::Json;
using core::Result;
using net::Task;

struct Machines {
    using Put = wire::PutMachine;
    static constexpr std::string_view kKind = "machine";
    static constexpr std::string_view kCollection = "machines";
    static auto all(View& view) { return view.machines(); }
    static auto one(View& view, const std::string& key) { return view.machine(key); }
    static const std::string& key(const Put& row) { return row.name(); }
};

/// What a machine holds keys for: to join, for services of the host, and to be reached as an API server.
std::vector<std::string> principals_of(const Call& call, std::string_view machine) {
    std::vector<std::string> names;
    for (const std::string_view service : {"smack", "host", "HTTP"}) {
        names.push_back(full_principal(call, std::format("{}/{}", service, machine)));
    }
    return names;
}

/// Principals with random keys for those that a new machine does not have yet.
Task<Result<void>> add_principals(Call& call, wire::Command& command, std::string machine) {
    if (call.api.environment.realm == nullptr) co_return Result<void>();
    for (const std::string& principal : principals_of(call, machine)) {
        CO_TRY_ASSIGN(const auto existing, co_await find_principals(call, {principal}));
        if (!existing.empty()) continue;
        const std::string name = principal.substr(0, principal.find('@'));
        auto made = co_await in_realm(call, [&](RealmDoor& realm) { return realm.with_random_key(name); });
        if (!made) co_return core::pass(std::move(made));
        add_put(command, std::move(*made));
    }
    co_return Result<void>();
}

/// cmd/smackd/join_bundle.h reads it.
Json bundle_json(const Call& call, const std::string& machine, const std::vector<wire::PutNode>& servers,
                 const core::Bytes& keytab) {
    Json seeds = Json::array();
    for (const wire::PutNode& server : servers) {
        Json seed;
        seed.set("address", server.address());
        seed.set("principal", full_principal(call, "smack/" + server.machine()));
        seeds.push(std::move(seed));
    }
    const wire::InitCluster& cluster = call.view->cluster;
    Json json;
    json.set("smackd_bundle", int64_t{1}).set("machine", machine).set("realm", cluster.realm());
    json.set("cluster_name", cluster.cluster_name()).set("cluster_id", cluster.cluster_id());
    Json kdcs = Json::array();
    for (std::string& kdc : kdcs_of(call, servers)) kdcs.push(std::move(kdc));
    json.set("kdcs", std::move(kdcs)).set("seeds", std::move(seeds));
    json.set("keytab", core::to_base64(keytab));
    return json;
}

}  // namespace

namespace handlers {

Answer list_machines(Call& call) {
    return list_rows<Machines>(call);
}
Answer show_machine(Call& call) {
    return show_row<Machines>(call);
}

Answer create_machine(Call& call) {
    CO_TRY(call.require(core::Action::kAdmin));
    CO_TRY_ASSIGN(const Json body, co_await read_body(call));
    const std::string name = body["name"].as_string();
    CO_TRY_ASSIGN(wire::PutMachine machine, machine_from_json(name, body));
    wire::Command command = make_command(call);
    *command.add_changes()->mutable_put_machine() = std::move(machine);
    CO_TRY(co_await add_principals(call, command, name));
    CO_TRY_ASSIGN(
        const core::Revision revision,
        co_await change(call, std::move(command), {.kind = "machine", .key = name, .create = true}));
    net::http::Response response = changed_reply(201, revision);
    response.headers.add("Location", "/smack/v1/machines/" + name);
    co_return response;
}

Answer put_machine(Call& call) {
    CO_TRY(call.require(core::Action::kAdmin));
    CO_TRY_ASSIGN(const Json body, co_await read_body(call));
    CO_TRY_ASSIGN(wire::PutMachine machine, machine_from_json(call.argument(), body));
    if (body.find("generation") == nullptr) {
        // It never goes back; who says nothing about it means the one there is.
        const std::string name = call.argument();
        auto before = co_await read<MaybeRow<wire::PutMachine>>(
            call, [name](View& view) { return view.machine(name); });
        if (!before) co_return core::pass(std::move(before));
        if (*before) machine.set_generation((*before)->put.generation());
    }
    wire::Command command = make_command(call);
    *command.add_changes()->mutable_put_machine() = std::move(machine);
    CO_TRY(co_await add_principals(call, command, call.argument()));
    CO_TRY_ASSIGN(const core::Revision revision,
                  co_await change(call, std::move(command), {.kind = "machine", .key = call.argument()}));
    co_return changed_reply(200, revision);
}

Answer remove_machine(Call& call) {
    CO_TRY(call.require(core::Action::kAdmin));
    wire::Command command = make_command(call);
    command.add_changes()->mutable_remove_machine()->set_name(call.argument());
    CO_TRY_ASSIGN(const auto existing, co_await find_principals(call, principals_of(call, call.argument())));
    for (const wire::PutPrincipal& principal : existing) add_remove(command, principal.name());
    CO_TRY_ASSIGN(const core::Revision revision,
                  co_await change(call, std::move(command), {.kind = "machine", .key = call.argument()}));
    co_return changed_reply(200, revision);
}

Answer machine_keytab(Call& call) {
    CO_TRY(call.require(core::Action::kAdmin));
    CO_TRY(require_embedded_realm(call, "export the keytab there"));
    auto answer = co_await export_keytab(call, principals_of(call, call.argument()),
                                         {.kind = "machine", .key = call.argument()});
    co_return answer;
}

// What `smackd join` reads. The keys in it are new: an older bundle of the machine is worth nothing from then
// on.
Answer machine_bundle(Call& call) {
    CO_TRY(call.require(core::Action::kAdmin));
    CO_TRY(require_embedded_realm(
        call, "make the keytab there and join by: smackd join --seed NAME --keytab FILE"));
    CO_TRY_ASSIGN(const auto servers, co_await read<std::vector<wire::PutNode>>(call, &read_servers));
    const std::string machine = call.argument();
    CO_TRY_ASSIGN(const core::Bytes keytab, co_await make_keytab(call, principals_of(call, machine),
                                                                 {.kind = "machine", .key = machine}, true));
    co_return json_reply(200, bundle_json(call, machine, servers, keytab));
}

Answer list_pending_machines(Call& call) {
    CO_TRY(call.require(core::Action::kAdmin));
    CO_TRY_ASSIGN(const wire::PendingMachines pending,
                  co_await call.api.environment.state.pending_machines());
    Json array = Json::array();
    for (const wire::PendingMachine& machine : pending.machines()) {
        Json json;
        json.set("name", machine.machine())
            .set("principal", machine.principal())
            .set("source", machine.source());
        json.set("version", machine.version())
            .set("time_ms", machine.time_ms())
            .set("times", machine.times());
        array.push(std::move(json));
    }
    co_return json_reply(200, Json::object().set("machines", std::move(array)));
}

}  // namespace handlers
}  // namespace smackd::services
