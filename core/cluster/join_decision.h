// What a member makes of a machine's wish to join: an AdmitNode to propose, or why not. Pure; apply decides
// again.
#pragma once

#include <expected>
#include <optional>
#include <string>

#include "core/result.h"
#include "core/wire/command.pb.h"
#include "core/wire/join.pb.h"

namespace smackd::core::cluster {

inline constexpr uint32_t kJoinFeatureLevel = 2;
/// Each epoch has a range of node ids of its own.
inline constexpr uint64_t kNodeIdsPerEpoch = 1'000'000;
/// How often a member asks again when another member's change came between ("raced").
inline constexpr int kJoinAttempts = 5;

/// Why a machine was sent away: a word for the log and metrics, and what it is told.
struct JoinRefused {
    std::string reason;  ///< "not_registered", "suspended", ...
    Error error;
};
template <class T>
using JoinResult = std::expected<T, JoinRefused>;

/// What the machine has proved.
struct JoinClaim {
    std::string machine;
    std::string principal;  ///< empty without Kerberos
    bool kerberos = false;
    std::string key_sha256;         ///< hex, of the key that is to be certified
    std::string proved_key_sha256;  ///< hex, of the certificate shown on a renewal; empty: none
};

/// The state as read at one revision.
struct JoinFacts {
    std::optional<wire::PutMachine> machine;  ///< the asker's row in the registry
    std::optional<wire::PutNode> node;        ///< the node it has
    uint64_t last_node_id = 0;                ///< the highest ever given
    uint64_t epoch = 0;
    uint32_t feature_level = 0;
};

/// The command without serial and end of the certificate, which come from issuing it.
JoinResult<wire::AdmitNode> decide_join(const JoinFacts& facts, const JoinClaim& claim,
                                        const wire::JoinRequest& request);

/// A command that apply has refused, as the machine is told. "raced": another member's change came between
/// reading `facts` and applying; the same question again gets another answer.
JoinRefused refusal_of_apply(const JoinFacts& facts, Error error);

}  // namespace smackd::core::cluster
