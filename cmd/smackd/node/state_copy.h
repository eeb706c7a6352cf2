// An agent's side of its feed: what a server tells of the state goes into agent.db; readers on this node are
// told what changed. With all servers away the copy is what there is.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "auth/registry.h"
#include "core/logger.h"
#include "net/rpc/rpc.h"
#include "net/worker_pool.h"
#include "storage/agent/agent_copy.h"

namespace smackd::cmd {

/// How long after the end of a feed it is asked for again on the same stream.
inline constexpr core::Duration kFeedAgain = core::seconds(1);
/// Items that a server may send ahead; with AgentFeedLimits::item_bytes, what one agent makes a server hold.
inline constexpr uint32_t kAgentStreamCredit = 16;

/// DIR/agent.db.
std::string agent_database_path(const std::string& data_directory);

/// What a reader of the copy must look at again.
struct StateChange {
    core::Revision position;
    bool everything = false;           ///< a snapshot replaced it all
    std::set<std::string> kinds;       ///< else these have changed rows
    std::vector<wire::AgentRow> rows;  ///< as they are now, in their order; none when it is everything
    bool touches(const std::string& kind) const { return everything || kinds.contains(kind); }
};

/// Loop thread only; files are written on the workers.
class StateCopy {
 public:
    struct Parts {
        net::Loop& loop;
        net::WorkerPool& workers;
        core::Disk& disk;
        storage::sqlite::Vfs& vfs;
        std::string path;
        storage::agent::AgentCopyOwner owner;
        core::Logger logger;
    };
    /// All of it outlives the copy.
    static core::Result<std::unique_ptr<StateCopy>> open(Parts parts);

    core::Revision position() const { return position_; }
    /// Null before the first snapshot.
    std::shared_ptr<const auth::Registry> registry() const { return registry_; }
    /// Runs on the loop after each change; rows are read by storage::agent::AgentReader. Once, before follow.
    void on_change(core::Callback<void(const StateChange&)> changed) { changed_ = std::move(changed); }

    /// Takes the feed of a server until its stream breaks or it is unfit. One at a time.
    net::Task<void> follow(net::rpc::RpcClient& client);
    /// Why the server followed last must be left for another one: it is behind this copy, or of an older
    /// epoch.
    const std::optional<core::Error>& unfit() const { return unfit_; }

 private:
    explicit StateCopy(Parts parts) : parts_(std::move(parts)) {}
    core::Result<void> open_copy();
    net::Task<core::Result<void>> take(net::rpc::ItemReader& items);
    net::Task<core::Result<void>> apply(wire::AgentFeedItem item);
    net::Task<void> recover(core::Errc why);
    core::Result<std::shared_ptr<const auth::Registry>> read_registry();

    Parts parts_;
    std::unique_ptr<storage::agent::AgentCopy> copy_;  // used on a worker while follow waits for that
    core::Revision position_;
    bool anew_ = false;                               // parts of a snapshot are in
    std::shared_ptr<const auth::Registry> registry_;  // shared with who checks by it
    core::Callback<void(const StateChange&)> changed_;
    std::optional<core::Error> unfit_;
};

}  // namespace smackd::cmd
