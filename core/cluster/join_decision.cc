#include "core/cluster/join_decision.h"

#include <algorithm>
#include <format>

#include "core/planted.h"

namespace smackd::core::cluster {
namespace {

template <class... Args>
std::unexpected<JoinRefused> refused(const char* reason, Errc code, std::format_string<Args...> text,
                                     Args&&... args) {
    return std::unexpected(
        JoinRefused{reason, Error{code, std::format(text, std::forward<Args>(args)...), 0}});
}

JoinResult<void> check_standing(const JoinFacts& facts, const JoinClaim& claim) {
    if (facts.feature_level < kJoinFeatureLevel) {
        return refused(
            "feature_level", Errc::kUnsupported,
            "the cluster is at feature level {}; joining needs {}: upgrade its servers, then raise it",
            facts.feature_level, kJoinFeatureLevel);
    }
    if (!facts.machine) {
        return refused("not_registered", Errc::kNotFound,
                       "{} is not a registered machine; an administrator adds it by: smackd machine add {}",
                       claim.principal, claim.machine);
    }
    if (facts.machine->state() != wire::MACHINE_ALLOWED) {
        return refused(
            "suspended", Errc::kDenied,
            "machine {} is suspended; an administrator lets it in again by: smackd machine resume {}",
            claim.machine, claim.machine);
    }
    return {};
}

/// A state of an older epoch has histories that the cluster gave up by restore or recover.
JoinResult<void> check_age(const JoinFacts& facts, const wire::JoinRequest& request) {
    const bool older = request.epoch() != 0 && request.epoch() < facts.epoch;
    if (older && request.role() != "agent" && !SMACK_BUG("join_ignores_age")) {
        return refused(
            "older_epoch", Errc::kConflict,
            "this node is of epoch {}, the cluster is at epoch {} since a restore or recovery: set its data "
            "directory aside, let an administrator remove the node, and join anew",
            request.epoch(), facts.epoch);
    }
    if (request.feature_level() < facts.feature_level && !SMACK_BUG("join_ignores_feature_level")) {
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

/// What a recovery has given up may have had ids that this state does not know of; none is given again, since
/// who has it may still be there.
uint64_t next_node_id(const JoinFacts& facts) {
    if (SMACK_BUG("join_gives_id_again")) return std::max<uint64_t>(facts.last_node_id, 1);
    if (SMACK_BUG("join_counts_on_after_recovery")) return facts.last_node_id + 1;
    const uint64_t before = std::max<uint64_t>(facts.epoch, 1) - 1;
    return std::max(facts.last_node_id, before * kNodeIdsPerEpoch) + 1;
}

/// The id: that of the node there is when the asker holds its key, else a new one.
JoinResult<void> add_id(wire::AdmitNode& admit, const JoinFacts& facts, const wire::JoinRequest& request) {
    if (!facts.node) {
        if (request.node_id() != 0) {
            return refused("removed", Errc::kDenied,
                           "node {} was removed from the cluster: set its data directory aside and join anew",
                           request.node_id());
        }
        admit.set_node_id(next_node_id(facts));
        return {};
    }
    const wire::PutNode& node = *facts.node;
    const bool holds =
        node.public_key_sha256() == admit.public_key_sha256() ||
        (!admit.proved_key_sha256().empty() && node.public_key_sha256() == admit.proved_key_sha256());
    const bool taken = SMACK_BUG("join_takes_other_key") || SMACK_BUG("fuzz_join");
    if ((!holds && !taken) || (request.node_id() != 0 && request.node_id() != node.node_id())) {
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

JoinResult<wire::AdmitNode> decide_join(const JoinFacts& facts, const JoinClaim& claim,
                                        const wire::JoinRequest& request) {
    TRY(check_standing(facts, claim));
    TRY(check_age(facts, request));
    wire::AdmitNode admit;
    admit.set_machine(claim.machine);
    admit.set_public_key_sha256(claim.key_sha256);
    admit.set_proved_key_sha256(claim.proved_key_sha256);
    TRY(add_id(admit, facts, request));
    TRY(add_roles(admit, *facts.machine, request.role()));
    admit.set_address(request.address());
    const bool renews = facts.node && request.zone().empty();  // a renewal does not say it again
    admit.set_zone(renews ? facts.node->zone() : request.zone());
    admit.set_version(request.version());
    admit.set_generation(facts.machine->generation());
    admit.set_proved_by_kerberos(claim.kerberos);
    return admit;
}

JoinRefused refusal_of_apply(const JoinFacts& facts, Error error) {
    // A node that is there stays a conflict.
    if (error.code == Errc::kConflict && !facts.node) return {"raced", std::move(error)};
    const char* reason = "refused";
    if (error.code == Errc::kNotFound) reason = "not_registered";
    if (error.code == Errc::kDenied) reason = "registry";
    if (error.code == Errc::kConflict) reason = "joined_already";
    if (error.code == Errc::kUnauthenticated) reason = "no_recent_proof";
    return {reason, std::move(error)};
}

}  // namespace smackd::core::cluster
