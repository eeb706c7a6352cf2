// The API's way to consensus: services::StateDoor over the consensus thread, and over the leader's from a
// follower.
#pragma once

#include "cmd/smackd/node/consensus.h"
#include "services/api/state_door.h"
#include "storage/feed/hub.h"

namespace smackd::cmd {

/// How long an acknowledged change may take to be applied on this server too.
inline constexpr core::Duration kFollowLimit = core::seconds(10);

class StateGateway final : public services::StateDoor {
 public:
    /// All outlive it; used on `loop` only.
    StateGateway(net::Loop& loop, Consensus& consensus, storage::feed::Hub& hub)
        : loop_(loop), consensus_(consensus), hub_(hub) {}

    net::Task<core::Result<wire::CommandResult>> propose(wire::Command command) override;
    net::Task<core::Result<void>> barrier() override;
    net::Task<core::Result<wire::PendingMachines>> pending_machines() override;
    const storage::ReplicaStatus& status() const override {
        status_ = consensus_.status();
        return status_;
    }

 private:
    net::Task<core::Result<void>> follow_to(core::Revision revision);

    net::Loop& loop_;
    Consensus& consensus_;
    storage::feed::Hub& hub_;
    mutable storage::ReplicaStatus status_;  // what status() refers to until its next call
};

}  // namespace smackd::cmd
