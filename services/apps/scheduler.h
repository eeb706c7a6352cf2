// The leader's loop over applications: follows the state, asks core/apps what to do, proposes it, and looks
// again once the outcome is in the state. On other servers it sleeps.
#pragma once

#include <optional>
#include <vector>

#include "core/apps/leases.h"
#include "core/callback.h"
#include "core/clock.h"
#include "core/logger.h"
#include "core/random.h"
#include "net/scope.h"
#include "net/sync.h"
#include "services/apps/follower.h"

namespace smackd::services {

/// How often nodes' liveness is looked at while nothing else happens and there are other nodes.
inline constexpr core::Duration kLivenessLook = core::milliseconds(500);
/// After a round in which something was refused or failed.
inline constexpr core::Duration kScheduleRetry = core::milliseconds(200);

class Scheduler {
 public:
    struct Parts {
        net::Loop& loop;
        net::WorkerPool& workers;
        storage::feed::Hub& hub;
        storage::state::ReaderOptions reader;
        const core::Clock& clock;
        core::Random& random;
        core::NodeId self;
        core::Logger logger;
        /// Proposes a serialized command; `done` on any thread with a serialized wire.CommandResult.
        core::Callback<void(core::Bytes, core::Callback<void(core::Result<core::Bytes>)>)> propose;
        /// What gossip says of the nodes; any thread.
        core::Callback<std::vector<LiveMember>()> liveness;
    };
    /// Loop thread, as everything here. Everything in `parts` outlives close().
    explicit Scheduler(Parts parts);
    ~Scheduler() = default;

    /// From now on this server decides in `term`; nullopt: it does not. Only once everything acknowledged
    /// before is applied here.
    void lead(std::optional<core::Term> term);
    net::Task<void> close();

 private:
    struct Round {
        size_t pending = 0;
        size_t refused = 0;
        core::Revision reached;
        net::Event done;
        explicit Round(net::Loop& loop) : done(loop) {}
    };
    net::Task<void> run();
    net::Task<core::Result<void>> work();
    net::Task<core::Result<bool>> carry_out(apps::Decision decision);
    void propose(const std::shared_ptr<Round>& round, wire::Command command);
    core::Duration pause(const apps::Decision& decision) const;

    Parts parts_;
    net::Scope scope_;
    net::Event leads_;
    std::optional<core::Term> term_;
    AppsFollower follower_;
    apps::LeaseWatch leases_;
    uint32_t held_ = 0;  // unreachable nodes when replacement was last held
};

/// The commands of one decision, in their order: SYSTEM's, of feature level 4, tied to `term` and to the
/// versions they were decided on.
std::vector<wire::Command> commands_of(const apps::Decision& decision, const AppsModel& model,
                                       core::Term term, int64_t now_ms);

}  // namespace smackd::services
