#include "cmd/smackd/node/admission.h"

#include <algorithm>

#include "auth/identity.h"
#include "net/crypto/random.h"
#include "storage/state/registry_rows.h"

namespace smackd::cmd {

using auth::JoinRefused;
using auth::JoinResult;
using core::Errc;
using core::Result;
using core::cluster::is_server;
using net::Task;
using storage::state::StateReader;

namespace {

inline constexpr size_t kSerialBytes = 16;

std::unexpected<JoinRefused> not_now(core::Error error) {
    return std::unexpected(JoinRefused{"unavailable", std::move(error)});
}

std::string new_serial() {
    core::Bytes bytes = net::crypto::random_bytes(kSerialBytes);
    bytes[0] = static_cast<char>((bytes[0] & 0x3f) | 0x40);  // positive, and of full length
    return core::to_hex(bytes);
}

wire::Command command_of(const auth::JoinProof& proof, const std::string& realm, wire::AdmitNode admit) {
    wire::Command command;
    command.set_feature_level(core::cluster::kJoinFeatureLevel);
    command.mutable_actor()->set_kind(wire::Actor::MACHINE);
    command.mutable_actor()->set_principal(auth::machine_principal(proof.machine, realm));
    command.mutable_actor()->set_door(proof.certificate ? "renew" : "join");
    *command.add_changes()->mutable_admit_node() = std::move(admit);
    return command;
}

}  // namespace

Admission::Admission(Parts parts, core::Callback<void(auth::Refusal)> refused)
    : parts_(std::move(parts)),
      refused_(std::move(refused)),
      state_(parts_.consensus.loop(), parts_.consensus, parts_.hub) {}

void Admission::refused(auth::Refusal refusal) {
    parts_.logger.warning("join refused", {{"reason", refusal.reason},
                                           {"principal", refusal.principal},
                                           {"peer", refusal.source},
                                           {"why", refusal.message}});
    refused_(std::move(refusal));
}

Result<std::string> Admission::machine_of(const net::crypto::Certificate& certificate) {
    const auto registry = parts_.consensus.peers().registry();
    if (!registry || !registry->known())
        return core::fail(Errc::kUnavailable, "this member has no state yet");
    TRY_ASSIGN(auth::AdmittedNode node, auth::admit(*registry, certificate));
    return node.machine;
}

Task<JoinResult<wire::JoinAnswer>> Admission::admit(auth::JoinProof proof, wire::JoinRequest request) {
    for (int attempt = 1;; ++attempt) {
        auto answer = co_await try_once(proof, request);
        const bool raced = !answer && answer.error().reason == "raced";
        if (!raced || attempt == core::cluster::kJoinAttempts) {
            if (!answer && answer.error().reason == "not_registered") {
                wire::PendingMachine pending;
                pending.set_machine(proof.machine);
                pending.set_principal(proof.principal);
                pending.set_source(proof.source);
                pending.set_version(request.version().substr(0, 64));
                pending.set_time_ms(parts_.clock.wall().unix_ms);
                parts_.consensus.note_pending(std::move(pending));
            }
            co_return answer;
        }
    }
}

Task<Result<Admission::Facts>> Admission::read_facts(std::string machine) {
    CO_TRY(co_await state_.barrier());
    auto facts =
        co_await parts_.workers.run<Facts>(parts_.consensus.loop(), [this, &machine]() -> Result<Facts> {
            StateReader reader(parts_.reader);
            TRY_ASSIGN(auto view, reader.view());
            Facts read;
            TRY_ASSIGN(auto cluster, view.cluster());
            if (!cluster) return core::fail(Errc::kUnavailable, "the cluster is not set up yet");
            read.cluster = std::move(cluster->put);
            TRY_ASSIGN(read.join, storage::state::read_join_facts(view, machine));
            TRY_ASSIGN(read.registry, storage::state::read_registry(view));
            return read;
        });
    co_return facts;
}

Task<Result<auth::IssuedCertificate>> Admission::issue(wire::AdmitNode admit, std::string public_key_pem) {
    auto issued = co_await parts_.workers.run<auth::IssuedCertificate>(parts_.consensus.loop(), [&] {
        auth::NodeCertificateRequest request;
        request.node = core::NodeId{admit.node_id()};
        request.machine = admit.machine();
        request.public_key_pem = public_key_pem;
        request.generation = admit.generation();
        request.server = std::ranges::contains(admit.roles(), "server");
        request.serial = new_serial();
        return parts_.secrets.ca.issue_node(request, parts_.clock.wall());
    });
    co_return issued;
}

Task<JoinResult<wire::JoinAnswer>> Admission::try_once(auth::JoinProof proof, wire::JoinRequest request) {
    auto ask = auth::read_ask(proof, request);
    if (!ask) co_return std::unexpected(std::move(ask.error()));
    auto facts = co_await read_facts(proof.machine);
    if (!facts) co_return not_now(std::move(facts.error()));
    auto decision = core::cluster::decide_join(facts->join, ask->claim, request);
    if (!decision) co_return std::unexpected(std::move(decision.error()));
    wire::AdmitNode& admit = *decision;
    auto issued = co_await issue(admit, ask->public_key_pem);
    if (!issued) co_return not_now(std::move(issued.error()));
    admit.set_certificate_serial(issued->serial);
    admit.set_certificate_not_after_ms(issued->not_after_ms);
    auto result = co_await state_.propose(command_of(proof, parts_.identity.realm, admit));
    if (!result) co_return not_now(std::move(result.error()));
    if (result->code() != 0) {
        core::Error why{static_cast<Errc>(result->code()), result->message(), 0};
        co_return std::unexpected(core::cluster::refusal_of_apply(facts->join, std::move(why)));
    }
    parts_.logger.info(proof.certificate ? "node renewed" : "node joined",
                       {{"node", admit.node_id()}, {"machine", admit.machine()}, {"peer", proof.source}});
    auto made = answer(*facts, admit, issued->pem);
    if (!made) co_return not_now(std::move(made.error()));
    co_return std::move(*made);
}

Result<wire::JoinAnswer> Admission::answer(const Facts& facts, const wire::AdmitNode& admit,
                                           const std::string& certificate_pem) const {
    wire::JoinAnswer answer;
    answer.set_node_id(admit.node_id());
    answer.set_certificate_pem(certificate_pem);
    answer.set_ca_pem(parts_.secrets.ca.certificate_pem());
    answer.set_cluster_id(facts.cluster.cluster_id());
    answer.set_cluster_name(facts.cluster.cluster_name());
    answer.set_realm(facts.cluster.realm());
    answer.set_embedded_realm(facts.cluster.embedded_realm());
    answer.set_machine(admit.machine());
    *answer.mutable_roles() = admit.roles();
    answer.set_generation(admit.generation());
    answer.set_epoch(facts.join.epoch);
    answer.set_feature_level(facts.join.feature_level);
    for (const wire::PutNode& server : facts.registry.nodes()) {
        if (!is_server(server)) continue;
        wire::JoinMember& member = *answer.add_members();
        member.set_node_id(server.node_id());
        member.set_machine(server.machine());
        member.set_address(server.address());
        *member.mutable_roles() = server.roles();
        if (facts.cluster.embedded_realm())
            answer.add_kdcs(auth::kdc_of_server(server.address(), parts_.kdc_port));
    }
    if (!std::ranges::contains(admit.roles(), "server")) return answer;
    // Voters that are heard although they are refused are needed until they can be taken out.
    core::cluster::Registry registry = facts.registry;
    for (const storage::Server& server : parts_.consensus.status().servers) {
        const bool needed = !registry.check(server.id) && parts_.consensus.peers().lets_in(server.id);
        if (needed || server.id.value == parts_.identity.node_id) registry.let_in(server.id, server.address);
    }
    *answer.mutable_registry() = registry.to_wire();
    answer.set_cluster_key(std::string(parts_.secrets.cluster_key.bytes()));
    TRY_ASSIGN(auto sealed, parts_.secrets.seal());
    for (auto& [name, bytes] : sealed) {
        wire::JoinSecret& secret = *answer.add_secrets();
        secret.set_name(name);
        secret.set_sealed(bytes);
    }
    return answer;
}

}  // namespace smackd::cmd
