// Programs beside tasks of this node that another server relays: orders of wire/orders.proto, one step each.
//
// Orders are answered within seconds (agent_orders.h), so nothing here waits for long: who reads asks again,
// and who writes to a program that does not read is told to try again. A session that nobody reads has lost
// its server, and ends.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/callback.h"
#include "core/logger.h"
#include "core/units.h"
#include "core/wire/orders.pb.h"
#include "net/scope.h"
#include "net/sync.h"
#include "services/agent/task_runner.h"

namespace smackd::cmd {

inline constexpr std::string_view kExecOpenOrder = "exec.open";
inline constexpr std::string_view kExecReadOrder = "exec.read";
inline constexpr std::string_view kExecWriteOrder = "exec.write";
inline constexpr std::string_view kExecCloseOrder = "exec.close";

/// For all servers together; what waits for them is in the way of the node's other answers.
inline constexpr size_t kRelayedProgramsMax = 32;
/// With so much unread a program waits.
inline constexpr size_t kRelayedWaitingBytesMax = 256 * core::kKiB;
/// In one answer, but for a piece that is longer by itself.
inline constexpr size_t kRelayedAnswerBytesMax = 64 * core::kKiB;
/// An order waits so long for output, or for the program to read; below kOrderLimit.
inline constexpr core::Duration kRelayWait = core::seconds(2);
/// Without a reader a session ends.
inline constexpr core::Duration kUnreadMax = core::seconds(15);

/// Of the loop of the tasks.
class ExecOrders {
 public:
    using Start = core::Callback<net::Task<core::Result<std::unique_ptr<agent::ExecSession>>>(
        std::string task, wire::ShimExec what)>;
    /// `start` outlives close().
    ExecOrders(net::Loop& loop, core::Logger logger, Start start);

    static bool knows(std::string_view method) { return method.starts_with("exec."); }
    /// kConflict for a session that is none (any more), errors of `start`.
    net::Task<core::Result<core::Bytes>> answer(std::string method, core::Bytes request);
    /// Ends all programs.
    net::Task<void> close();

 private:
    struct Session;
    using SessionPtr = std::shared_ptr<Session>;  // the map's, and of the orders that run

    net::Task<core::Result<core::Bytes>> open(wire::OpenExec order);
    net::Task<core::Result<core::Bytes>> read(wire::ReadExec order);
    net::Task<core::Result<core::Bytes>> write(wire::WriteExec order);
    core::Result<core::Bytes> close_one(const wire::CloseExec& order);
    static core::Bytes take_pieces(Session& session);
    core::Result<SessionPtr> find(const std::string& id) const;
    net::Task<void> collect(SessionPtr session);
    net::Task<void> put(SessionPtr session, wire::ShimExecInput input);
    net::Task<void> expire();
    void drop(const std::string& id);

    net::Loop& loop_;
    core::Logger logger_;
    Start start_;
    std::map<std::string, SessionPtr> sessions_;
    size_t opening_ = 0;
    bool expiring_ = false;
    net::Scope scope_;
};

}  // namespace smackd::cmd
