// What the API needs of consensus: changes, linearization points and how this server stands.
#pragma once

#include "core/ids.h"
#include "core/result.h"
#include "core/wire/command.pb.h"
#include "core/wire/join.pb.h"
#include "net/task.h"
#include "storage/replica.h"

namespace smackd::services {

/// Called on the API loop; cmd/smackd puts it over storage::Replica (another thread) and, on a follower, over
/// the leader's.
class StateDoor {
 public:
    virtual ~StateDoor() = default;
    /// Proposes a command at the leader, wherever that is. A refused command is a CommandResult with a code;
    /// an Error is one of Replica::propose. On success this server has applied it: a read here sees it.
    virtual net::Task<core::Result<wire::CommandResult>> propose(wire::Command command) = 0;
    /// Returns once everything that was acknowledged anywhere before the call is applied here.
    virtual net::Task<core::Result<void>> barrier() = 0;
    /// A copy kept up to date by the replica's observer, with since_leader_contact counting on. Valid until
    /// the caller suspends.
    virtual const storage::ReplicaStatus& status() const = 0;
    /// Machines that asked to join and are in no registry, as the leader remembers them.
    virtual net::Task<core::Result<wire::PendingMachines>> pending_machines() {
        co_return wire::PendingMachines();
    }
};

}  // namespace smackd::services
