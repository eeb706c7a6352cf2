#include "auth/join_decision.h"

#include <algorithm>
#include <format>

#include "net/crypto/certificate.h"

namespace smackd::auth {

using core::Errc;
using core::Error;

namespace {

template <class... Args>
std::unexpected<JoinRefused> refused(const char* reason, Errc code, std::format_string<Args...> text,
                                     Args&&... args) {
    return std::unexpected(
        JoinRefused{reason, Error{code, std::format(text, std::forward<Args>(args)...), 0}});
}

JoinResult<void> check_standing(const JoinFacts& facts, const JoinProof& proof) {
    if (facts.feature_level < kJoinFeatureLevel) {
        return refused(
            "feature_level", Errc::kUnsupported,
            "the cluster is at feature level {}; joining needs {}: upgrade its servers, then raise it",
            facts.feature_level, kJoinFeatureLevel);
    }
    if (!facts.machine) {
        return refused("not_registered", Errc::kNotFound,
                       "{} is not a registered machine; an administrator adds it by: smackd machine add {}",
                       proof.principal, proof.machine);
    }
    if (facts.machine->state() != wire::MACHINE_ALLOWED) {
        return refused(
            "suspended", Errc::kDenied,
            "machine {} is suspended; an administrator lets it in again by: smackd machine resume {}",
            proof.machine, proof.machine);
    }
    return {};
}

/// A state of an older epoch has histories that the cluster gave up by restore or recover.
JoinResult<void> check_age(const JoinFacts& facts, const wire::JoinRequest& request) {
    if (request.epoch() != 0 && request.epoch() < facts.epoch && request.role() != "agent") {
        return refused(
            "older_epoch", Errc::kConflict,
            "this node is of epoch {}, the cluster is at epoch {} since a restore or recovery: set its data "
            "directory aside, let an administrator remove the node, and join anew",
            request.epoch(), facts.epoch);
    }
    if (request.feature_level() < facts.feature_level) {
        return refused(
            "feature_level", Errc::kUnsupported,
            "this smackd ({}) knows feature level {}, the cluster is at {}: install the cluster's version",
            request.version().substr(0, 64), request.feature_level(), facts.feature_level);
    }
    return {};
}

std::string role_of(const wire::PutMachine& machine, const std::string& wanted) {
    if (!wanted.empty()) return wanted;
    return std::ranges::contains(machine.roles(), "server") ? "server" : "agent";
}

JoinResult<void> add_roles(wire::AdmitNode& admit, const wire::PutMachine& machine,
                           const std::string& wanted) {
    const std::string role = role_of(machine, wanted);
    if (role != "server" && role != "agent") {
        return refused("role", Errc::kInvalid, "role '{}': must be server or agent", role.substr(0, 16));
    }
    if (!std::ranges::contains(machine.roles(), role)) {
        std::string allowed;
        for (const std::string& one : machine.roles()) allowed += (allowed.empty() ? "" : ", ") + one;
        return refused("role", Errc::kDenied, "machine {} may not be {}, only {}", machine.name(), role,
                       allowed);
    }
    admit.add_roles(role);
    if (std::ranges::contains(machine.roles(), "public")) admit.add_roles("public");
    return {};
}

/// The id: that of the node there is when the asker holds its key, else a new one.
JoinResult<void> add_id(wire::AdmitNode& admit, const JoinFacts& facts, const wire::JoinRequest& request) {
    if (!facts.node) {
        if (request.node_id() != 0) {
            return refused("removed", Errc::kDenied,
                           "node {} was removed from the cluster: set its data directory aside and join anew",
                           request.node_id());
        }
        admit.set_node_id(facts.last_node_id + 1);
        return {};
    }
    const wire::PutNode& node = *facts.node;
    const bool holds =
        node.public_key_sha256() == admit.public_key_sha256() ||
        (!admit.proved_key_sha256().empty() && node.public_key_sha256() == admit.proved_key_sha256());
    if (!holds || (request.node_id() != 0 && request.node_id() != node.node_id())) {
        return refused(
            "joined_already", Errc::kConflict,
            "machine {} has joined already as node {}, with another key; if that one is gone for good, an "
            "administrator removes it by: smackd node remove {}",
            node.machine(), node.node_id(), node.node_id());
    }
    admit.set_node_id(node.node_id());
    return {};
}

}  // namespace

JoinResult<JoinDecision> decide_join(const JoinFacts& facts, const JoinProof& proof,
                                     const wire::JoinRequest& request) {
    TRY(check_standing(facts, proof));
    TRY(check_age(facts, request));
    auto asked = net::crypto::parse_request(request.certificate_request_pem());
    if (!asked) return std::unexpected(JoinRefused{"bad_request", std::move(asked.error())});
    JoinDecision decision;
    decision.public_key_pem = asked->key.to_pem();
    wire::AdmitNode& admit = decision.admit;
    admit.set_machine(proof.machine);
    admit.set_public_key_sha256(core::to_hex(asked->key.sha256()));
    if (proof.certificate) admit.set_proved_key_sha256(core::to_hex(proof.certificate->public_key_sha256));
    TRY(add_id(admit, facts, request));
    TRY(add_roles(admit, *facts.machine, request.role()));
    admit.set_address(request.address());
    admit.set_zone(request.zone());
    admit.set_version(request.version());
    admit.set_generation(facts.machine->generation());
    admit.set_proved_by_kerberos(proof.kerberos);
    return decision;
}

JoinRefused refusal_of_apply(Error error) {
    const char* reason = "refused";
    if (error.code == Errc::kNotFound) reason = "not_registered";
    if (error.code == Errc::kDenied) reason = "registry";
    if (error.code == Errc::kConflict) reason = "joined_already";
    if (error.code == Errc::kUnauthenticated) reason = "no_recent_proof";
    return {reason, std::move(error)};
}

}  // namespace smackd::auth
