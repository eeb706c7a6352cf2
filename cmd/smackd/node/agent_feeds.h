// What a server sends its agents of the state: to each a snapshot, or the changes since its copy's place, and
// then every change that core/agent_view.h lets it see.
//
// Memory: a session holds one item; the shared snapshot is read once for all that want it at the same time;
// and of each agent the ids of its tasks; what an agent has not asked for (RPC credit) is not sent. An agent
// that takes nothing for AgentFeedLimits::slow while there is something is cut with the reason and begins
// again from its place.
#pragma once

#include <map>
#include <memory>
#include <optional>

#include "core/agent_definitions.h"
#include "core/agent_view.h"
#include "core/logger.h"
#include "net/rpc/rpc.h"
#include "net/sync.h"
#include "net/worker_pool.h"
#include "services/api/feed_reader.h"
#include "storage/feed/hub.h"
#include "storage/state/agent_rows.h"

namespace smackd::cmd {

struct AgentFeedLimits {
    size_t item_bytes = 16 * 1024;  ///< rows go into one item until it has so many; one row may be larger
    size_t batch = 256;             ///< changes looked at before other work of the loop has its turn
    size_t snapshots = 16;          ///< agents that are sent one at once; others wait
    size_t cache = 1024;            ///< changes in the form for agents, which all take at about the same time
    core::Duration slow = core::seconds(30);  ///< how long an item may wait until the agent takes it
    core::Duration place =
        core::seconds(10);  ///< so often an agent is told its place when nothing was for it
    core::Duration behind = core::seconds(3);  ///< how long it waits while this server is behind its copy
};

/// Loop thread only.
class AgentFeeds {
 public:
    AgentFeeds(net::Loop& loop, net::WorkerPool& workers, storage::feed::Hub& hub,
               storage::state::ReaderOptions reader, core::Logger logger, AgentFeedLimits limits = {});
    AgentFeeds(const AgentFeeds&) = delete;
    AgentFeeds& operator=(const AgentFeeds&) = delete;

    /// Serves one agent's stream "feed" until it ends; `request` is a wire.AgentFeedRequest.
    net::Task<core::Result<void>> serve(core::NodeId agent, core::Bytes request, net::rpc::ItemWriter& out);

 private:
    using Snapshot = std::shared_ptr<const storage::state::RowsForAgents>;
    /// One agent's stream.
    struct Session {
        core::NodeId agent;
        core::Revision place;  ///< of the agent's copy
        net::rpc::ItemWriter& out;
        core::AgentDefinitions definitions = {};  ///< of its tasks
        wire::AgentFeedItem item = {};            ///< what comes next
        size_t bytes = 0;                         ///< of its rows
    };
    core::Result<void> check_epoch(const Session& session) const;
    net::Task<core::Result<void>> send_changes(Session& session);
    net::Task<core::Result<void>> send_snapshot(Session& session);
    net::Task<core::Result<void>> send_rows(Session& session, const storage::state::RowsForAgents& rows);
    net::Task<core::Result<void>> send_definitions(Session& session);
    net::Task<core::Result<void>> add_change(Session& session, const storage::feed::Record& record);
    net::Task<core::Result<void>> add_definition(Session& session, const std::string& task_row);
    void add_row(Session& session, const wire::AgentRow& row);
    net::Task<core::Result<void>> send(Session& session, core::Revision place);
    net::Task<core::Result<void>> catch_up(core::Revision place);
    std::unexpected<core::Error> behind(core::Revision place) const;
    /// At least of that place.
    net::Task<core::Result<Snapshot>> snapshot(core::Revision least);
    const std::vector<core::RowForAgents>& seen(const storage::feed::Record& record);

    const AgentFeedLimits limits_;
    net::Loop& loop_;
    net::WorkerPool& workers_;
    storage::feed::Hub& hub_;
    storage::state::ReaderOptions reader_;
    core::Logger logger_;
    net::Semaphore snapshots_;
    net::Semaphore reading_;
    std::weak_ptr<const storage::state::RowsForAgents> last_;  // owned by the sessions that send it
    std::map<core::Revision, std::vector<core::RowForAgents>> cache_;
};

}  // namespace smackd::cmd
