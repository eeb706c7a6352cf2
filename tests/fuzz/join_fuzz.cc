// What somebody says at the join door, up to the decision: frames, and the request inside one (unproved, or
// sealed as it is after Kerberos has opened it).
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "auth/join_decision.h"
#include "core/assert.h"

using namespace smackd;

namespace {

constexpr uint64_t kOtherNode = 7;

auth::JoinFacts facts(bool joined_already) {
    auth::JoinFacts facts;
    facts.last_node_id = 9;
    facts.epoch = 1;
    facts.feature_level = auth::kJoinFeatureLevel;
    facts.machine.emplace().set_name("n2");
    facts.machine->add_roles("agent");
    facts.machine->set_state(wire::MACHINE_ALLOWED);
    if (joined_already) {
        facts.node.emplace().set_node_id(kOtherNode);
        facts.node->set_machine("n2");
        facts.node->set_public_key_sha256("another key");
    }
    return facts;
}

void decide(const wire::JoinRequest& request) {
    auth::JoinProof proof;
    proof.machine = "n2";
    proof.principal = "smack/n2@EXAMPLE.COM";
    proof.kerberos = true;
    const auto fresh = auth::decide_join(facts(false), proof, request);
    if (fresh) {
        // What the asker says of itself decides nothing that the registry decides.
        const wire::AdmitNode& admit = fresh->admit;
        SMACK_ASSERT(admit.machine() == "n2" && admit.node_id() == 10 && request.node_id() == 0);
        SMACK_ASSERT(admit.roles_size() == 1 && admit.roles(0) == "agent");
        SMACK_ASSERT(admit.proved_key_sha256().empty() && admit.public_key_sha256().size() == 64);
    } else {
        SMACK_ASSERT(!fresh.error().reason.empty() && !fresh.error().error.message.empty());
    }
    // A copied keytab does not take a running node's place.
    SMACK_ASSERT(!auth::decide_join(facts(true), proof, request));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const auto frame = auth::parse_join_frame({reinterpret_cast<const char*>(data), size});
    if (!frame) {
        SMACK_ASSERT(frame.error().code == core::Errc::kInvalid);
        return 0;
    }
    const std::string bytes = frame->SerializeAsString();
    const auto again = auth::parse_join_frame(bytes);
    SMACK_ASSERT(again && again->SerializeAsString() == bytes);
    if (frame->has_unproved()) decide(frame->unproved());
    wire::JoinRequest request;
    if (frame->has_sealed() && request.ParseFromString(frame->sealed())) decide(request);
    return 0;
}
