// What a member makes of a machine's wish to join: an AdmitNode to propose, or why not. Pure; apply decides
// again.
#pragma once

#include <optional>

#include "auth/join_server.h"
#include "core/wire/command.pb.h"
#include "core/wire/join.pb.h"

namespace smackd::auth {

/// The state as read at one revision.
struct JoinFacts {
    std::optional<wire::PutMachine> machine;  ///< the asker's row in the registry
    std::optional<wire::PutNode> node;        ///< the node it has
    uint64_t last_node_id = 0;                ///< the highest ever given
    uint64_t epoch = 0;
    uint32_t feature_level = 0;
};

inline constexpr uint32_t kJoinFeatureLevel = 2;

struct JoinDecision {
    wire::AdmitNode admit;  ///< without serial and end of the certificate, which come from issuing it
    std::string public_key_pem;
};

JoinResult<JoinDecision> decide_join(const JoinFacts& facts, const JoinProof& proof,
                                     const wire::JoinRequest& request);

/// A refused command as the machine is told: the reason's word by the code.
JoinRefused refusal_of_apply(core::Error error);

}  // namespace smackd::auth
