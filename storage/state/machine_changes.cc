// The registry of machines and the nodes that have joined.
#include <algorithm>
#include <array>
#include <charconv>
#include <set>

#include "core/names.h"
#include "core/wire/serialize.h"
#include "storage/state/changes.h"

namespace smackd::storage::state {

using core::Errc;

namespace {

constexpr std::array<std::string_view, 3> kRoles = {"agent", "public", "server"};

Outcome<std::string> roles_text(const wire::PutMachine& machine) {
    std::set<std::string_view> roles;
    for (const std::string& role : machine.roles()) {
        if (!std::ranges::contains(kRoles, role)) {
            return refuse(Errc::kInvalid, "machine role '{}': must be server, agent or public",
                          role.substr(0, 64));
        }
        roles.insert(role);
    }
    std::string text;
    for (const std::string_view role : roles) text += (text.empty() ? "" : ",") + std::string(role);
    return text;
}

Outcome<void> check_machine(Writer& writer, const wire::PutMachine& machine) {
    TRY(refused(core::check_machine_name(machine.name())));
    if (machine.state() != wire::MACHINE_ALLOWED && machine.state() != wire::MACHINE_SUSPENDED) {
        return refuse(Errc::kInvalid, "machine '{}': state must be allowed or suspended", machine.name());
    }
    if (machine.roles_size() > kRolesPerMachineMax || machine.attributes_size() > kAttributesPerMachineMax) {
        return refuse(Errc::kInvalid, "machine '{}': at most {} roles and {} attributes", machine.name(),
                      kRolesPerMachineMax, kAttributesPerMachineMax);
    }
    for (const auto& [name, value] : machine.attributes()) {
        TRY(refused(core::check_key("attribute name", name)));
        TRY(refused(core::check_text("attribute value", value, kAttributeBytesMax)));
    }
    TRY_ASSIGN(const int64_t before,
               writer.state().integer("SELECT generation FROM machines WHERE name = ?", {machine.name()}));
    if (machine.generation() < static_cast<uint64_t>(before)) {
        return refuse(Errc::kConflict, "machine '{}': generation {} is below {}", machine.name(),
                      machine.generation(), before);
    }
    return {};
}

Outcome<void> write_machine(Writer& writer, wire::PutMachine machine, const std::string& roles) {
    sqlite::Database& state = writer.state();
    const char* name_of_state = machine.state() == wire::MACHINE_ALLOWED ? "allowed" : "suspended";
    TRY(state.run("INSERT OR REPLACE INTO machines VALUES(?, ?, ?, ?, ?)",
                  {machine.name(), roles, name_of_state, machine.generation(), writer.next_revision()}));
    TRY(state.run("DELETE FROM machine_attributes WHERE machine = ?", {machine.name()}));
    for (const auto& [name, value] : machine.attributes()) {
        TRY(state.run("INSERT INTO machine_attributes VALUES(?, ?, ?)", {machine.name(), name, value}));
    }
    auto* list = machine.mutable_roles();
    std::ranges::sort(*list);
    list->erase(std::unique(list->begin(), list->end()), list->end());
    TRY(writer.emit({.kind = "machine", .key = machine.name(), .row = serialize(machine)}));
    return {};
}

/// HOST:PORT; what HOST may be is the transport's matter.
Outcome<void> check_address(const std::string& address) {
    const size_t colon = address.rfind(':');
    unsigned port = 0;
    bool valid = colon != std::string::npos && colon > 0 && address.size() <= 262;
    if (valid) {
        const char* end = address.data() + address.size();
        const auto [rest, error] = std::from_chars(address.data() + colon + 1, end, port);
        valid = error == std::errc{} && rest == end && port >= 1 && port <= 65535;
    }
    if (!valid) return refuse(Errc::kInvalid, "node address '{}': must be HOST:PORT", address.substr(0, 64));
    return refused(core::check_text("node address", address, kTextBytesMax));
}

Outcome<void> write_node(Writer& writer, const wire::PutNode& node) {
    sqlite::Database& state = writer.state();
    if (writer.position().feature_level < 2) {
        TRY(state.run("INSERT OR REPLACE INTO nodes VALUES(?, ?, ?, ?, ?, ?, ?)",
                      {node.node_id(), node.machine(), node.address(), node.certificate_serial(),
                       node.certificate_not_after_ms(), node.version(), writer.next_revision()}));
    } else {
        std::string roles;
        for (const std::string& role : node.roles()) roles += (roles.empty() ? "" : ",") + role;
        TRY(state.run(
            "INSERT OR REPLACE INTO nodes VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            {node.node_id(), node.machine(), node.address(), node.certificate_serial(),
             node.certificate_not_after_ms(), node.version(), writer.next_revision(), roles, node.zone(),
             node.generation(), node.epoch(), node.public_key_sha256(), node.proved_ms()}));
        TRY(state.run("UPDATE node_ids SET last = ? WHERE last < ?", {node.node_id(), node.node_id()}));
    }
    TRY(writer.emit({.kind = "node", .key = std::to_string(node.node_id()), .row = serialize(node)}));
    return {};
}

/// The machine must be in the registry and allowed, and an id stays with the machine that has it.
Outcome<void> check_owner(sqlite::Database& state, const wire::PutNode& node) {
    TRY_ASSIGN(const int64_t allowed,
               state.integer("SELECT state = 'allowed' FROM machines WHERE name = ?", {node.machine()}, -1));
    if (allowed < 0)
        return refuse(Errc::kNotFound, "no machine '{}' in the registry", node.machine().substr(0, 64));
    if (allowed == 0) return refuse(Errc::kDenied, "machine '{}' is suspended", node.machine());
    TRY_ASSIGN(const int64_t taken,
               state.integer("SELECT count(*) FROM nodes WHERE node_id = ? AND machine <> ?",
                             {node.node_id(), node.machine()}));
    if (taken != 0) return refuse(Errc::kConflict, "node {} belongs to another machine", node.node_id());
    return {};
}

}  // namespace

Outcome<void> put_machine(Writer& writer, const wire::PutMachine& change) {
    TRY(check_machine(writer, change));
    TRY_ASSIGN(const std::string roles, roles_text(change));
    return write_machine(writer, change, roles);
}

Outcome<void> remove_machine(Writer& writer, const wire::RemoveMachine& change) {
    sqlite::Database& state = writer.state();
    TRY_ASSIGN(const int64_t rows,
               state.integer("SELECT count(*) FROM machines WHERE name = ?", {change.name()}));
    if (rows == 0) return refuse(Errc::kNotFound, "no machine '{}'", change.name().substr(0, 64));
    // Its nodes go first, so that no node is ever seen without its machine.
    while (true) {
        TRY_ASSIGN(const int64_t node,
                   state.integer("SELECT node_id FROM nodes WHERE machine = ? ORDER BY node_id LIMIT 1",
                                 {change.name()}));
        if (node == 0) break;
        wire::RemoveNode removal;
        removal.set_node_id(static_cast<uint64_t>(node));
        TRY(remove_node(writer, removal));
    }
    TRY(state.run("DELETE FROM machine_attributes WHERE machine = ?", {change.name()}));
    TRY(state.run("DELETE FROM machines WHERE name = ?", {change.name()}));
    TRY(writer.emit({.kind = "machine", .key = change.name(), .removed = true}));
    return {};
}

Outcome<void> put_node(Writer& writer, const wire::PutNode& change) {
    // SQLite's integers are signed; ids are small anyway.
    if (change.node_id() == 0 || change.node_id() > static_cast<uint64_t>(INT64_MAX)) {
        return refuse(Errc::kInvalid, "node_id {}: must be from 1 to 2^63 - 1", change.node_id());
    }
    TRY(check_address(change.address()));
    TRY(refused(core::check_text("certificate_serial", change.certificate_serial(), kTextBytesMax)));
    TRY(refused(core::check_text("version", change.version(), kTextBytesMax)));
    TRY(check_owner(writer.state(), change));
    return write_node(writer, change);
}

Outcome<void> remove_node(Writer& writer, const wire::RemoveNode& change) {
    TRY(writer.state().run("DELETE FROM nodes WHERE node_id = ?", {change.node_id()}));
    if (writer.state().changes() == 0) return refuse(Errc::kNotFound, "no node {}", change.node_id());
    TRY(forget_node(writer, change.node_id()));
    TRY(writer.emit({.kind = "node", .key = std::to_string(change.node_id()), .removed = true}));
    return {};
}

}  // namespace smackd::storage::state
