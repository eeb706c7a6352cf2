// Admission of nodes: who may have a certificate is decided here, from the registry, by every server alike.
#include <algorithm>

#include "core/names.h"
#include "core/planted.h"
#include "core/wire/serialize.h"
#include "storage/state/changes.h"

namespace smackd::storage::state {

using core::Errc;

namespace {

constexpr size_t kKeyHashDigits = 64;  // SHA-256, hex

struct Machine {
    std::string roles;  // "agent,server"
    uint64_t generation = 0;
};

struct Node {
    uint64_t id = 0;
    std::string public_key_sha256;
    int64_t proved_ms = 0;
};

bool has_role(std::string_view roles, std::string_view role) {
    return ("," + std::string(roles) + ",").find("," + std::string(role) + ",") != std::string::npos;
}

Outcome<Machine> allowed_machine(sqlite::Database& state, const std::string& name) {
    TRY_ASSIGN(auto cursor,
               state.query("SELECT roles, state, generation FROM machines WHERE name = ?", {name}));
    TRY_ASSIGN(const bool found, cursor.next());
    if (!found) {
        return refuse(Errc::kNotFound,
                      "machine '{}' is not registered; an administrator adds it by: smackd machine add {}",
                      name.substr(0, 64), name.substr(0, 64));
    }
    if (cursor.row().text(1) != "allowed") {
        return refuse(Errc::kDenied,
                      "machine '{}' is suspended; an administrator lets it in again by: smackd "
                      "machine resume {}",
                      name, name);
    }
    return Machine{std::string(cursor.row().text(0)), cursor.row().number(2)};
}

Outcome<void> check_roles(const Machine& machine, const wire::AdmitNode& change) {
    const bool server = std::ranges::contains(change.roles(), "server");
    const bool agent = std::ranges::contains(change.roles(), "agent");
    if (server == agent) {
        return refuse(Errc::kInvalid, "node of machine '{}': must be either server or agent",
                      change.machine());
    }
    for (const std::string& role : change.roles()) {
        if (has_role(machine.roles, role)) continue;
        return refuse(Errc::kDenied, "machine '{}' may not be {}, only {}; ask an administrator",
                      change.machine(), role.substr(0, 16), machine.roles);
    }
    return {};
}

Outcome<std::optional<Node>> node_of(sqlite::Database& state, const std::string& machine) {
    TRY_ASSIGN(auto cursor,
               state.query("SELECT node_id, public_key_sha256, proved_ms FROM nodes WHERE machine = ? "
                           "ORDER BY node_id LIMIT 1",
                           {machine}));
    TRY_ASSIGN(const bool found, cursor.next());
    if (!found) return std::optional<Node>();
    return std::optional<Node>(
        Node{cursor.row().number(0), std::string(cursor.row().text(1)), cursor.row().integer(2)});
}

/// A machine that has a node gets certificates for that one only, and only who holds its key: a keytab alone
/// does not take a running node's place.
Outcome<void> check_holder(const wire::AdmitNode& change, const Node& node) {
    const bool holds =
        node.public_key_sha256 == change.public_key_sha256() ||
        (!change.proved_key_sha256().empty() && node.public_key_sha256 == change.proved_key_sha256());
    if (node.id == change.node_id() && (holds || SMACK_BUG("join_takes_other_key"))) return {};
    return refuse(
        Errc::kConflict,
        "machine '{}' has joined already as node {}, with another key; if that one is gone for good, an "
        "administrator removes it by: smackd node remove {}",
        change.machine(), node.id, node.id);
}

Outcome<void> check_new_id(sqlite::Database& state, uint64_t id) {
    if (SMACK_BUG("join_gives_id_again")) return {};
    TRY_ASSIGN(const int64_t last, state.integer("SELECT last FROM node_ids"));
    if (id > static_cast<uint64_t>(last) && id <= static_cast<uint64_t>(INT64_MAX)) return {};
    return refuse(Errc::kConflict, "node id {}: was given before, the last one is {}", id, last);
}

Outcome<void> check_certificate(const wire::AdmitNode& change, int64_t now_ms) {
    if (change.public_key_sha256().size() != kKeyHashDigits) {
        return refuse(Errc::kInvalid, "public_key_sha256: must be {} hex digits", kKeyHashDigits);
    }
    if (change.certificate_serial().empty())
        return refuse(Errc::kInvalid, "certificate_serial: must not be empty");
    const int64_t life = change.certificate_not_after_ms() - now_ms;
    if (life > 0 && life <= kNodeCertificateLifeMaxMs) return {};
    return refuse(Errc::kInvalid,
                  "certificate_not_after_ms: must be within {} hours from now; do the servers' "
                  "clocks differ?",
                  kNodeCertificateLifeMaxMs / 3'600'000);
}

/// When Kerberos last vouched for the node, after this change.
Outcome<int64_t> proof_time(const wire::AdmitNode& change, const std::optional<Node>& node, int64_t now_ms) {
    if (change.proved_by_kerberos()) return now_ms;
    if (node && now_ms - node->proved_ms <= kUnprovedRenewalMs) return node->proved_ms;
    return refuse(Errc::kUnauthenticated,
                  "node {}: no Kerberos proof for more than {} hours; check keytab and KDC of machine '{}'",
                  change.node_id(), kUnprovedRenewalMs / 3'600'000, change.machine());
}

wire::PutNode row_of(const wire::AdmitNode& change, uint64_t epoch, int64_t proved_ms) {
    wire::PutNode node;
    node.set_node_id(change.node_id());
    node.set_machine(change.machine());
    node.set_address(change.address());
    node.set_certificate_serial(change.certificate_serial());
    node.set_certificate_not_after_ms(change.certificate_not_after_ms());
    node.set_version(change.version());
    *node.mutable_roles() = change.roles();
    std::ranges::sort(*node.mutable_roles());
    node.set_zone(change.zone());
    node.set_generation(change.generation());
    node.set_epoch(epoch);
    node.set_public_key_sha256(change.public_key_sha256());
    node.set_proved_ms(proved_ms);
    return node;
}

}  // namespace

Outcome<void> admit_node(Writer& writer, const wire::AdmitNode& change) {
    sqlite::Database& state = writer.state();
    TRY(refused(core::check_machine_name(change.machine())));
    TRY(refused(core::check_text("zone", change.zone(), kTextBytesMax)));
    TRY_ASSIGN(const Machine machine, allowed_machine(state, change.machine()));
    TRY(check_roles(machine, change));
    if (change.generation() != machine.generation) {
        return refuse(Errc::kConflict, "machine '{}' is at generation {}, not {}: ask again",
                      change.machine(), machine.generation, change.generation());
    }
    const int64_t now_ms = writer.position().time_ms;
    TRY(check_certificate(change, now_ms));
    TRY_ASSIGN(const auto node, node_of(state, change.machine()));
    if (node) {
        TRY(check_holder(change, *node));
    } else {
        TRY(check_new_id(state, change.node_id()));
    }
    TRY_ASSIGN(const int64_t proved_ms, proof_time(change, node, now_ms));
    return put_node(writer, row_of(change, writer.position().epoch, proved_ms));
}

}  // namespace smackd::storage::state
