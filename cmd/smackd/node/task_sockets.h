// The sockets of this node's tasks: HTTP/1.1, answered by a server in the task's name.
//
// On a loop of their own, since a task may send what it likes: whatever it does there costs its own turns
// first, then those of other tasks, and nothing else of the node. Each limit is answered 503 with
// Retry-After.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "cmd/smackd/node/task_relay.h"
#include "core/clock.h"
#include "core/logger.h"
#include "net/http/server.h"
#include "net/scope.h"
#include "net/socket.h"

namespace smackd::cmd {

inline constexpr size_t kTaskConnectionsMax = 16;        ///< of one task
inline constexpr size_t kNodeTaskConnectionsMax = 1024;  ///< of all tasks of the node
inline constexpr size_t kTaskRequestsMax = 4;            ///< of one task, that wait for a server
inline constexpr size_t kNodeTaskRequestsMax = 32;       ///< of all
inline constexpr int64_t kTaskRequestsPerSecond = 50;    ///< of one task, in the long run
inline constexpr int64_t kTaskRequestsBurst = 100;       ///< and at once after a pause
inline constexpr core::Duration kTaskRelayLimit = core::seconds(20);
inline constexpr core::Duration kTaskHeadLimit = core::seconds(5);
inline constexpr core::Duration kTaskBodyLimit = core::seconds(10);
inline constexpr core::Duration kTaskIdleLimit = core::seconds(30);

/// So many in the long run, and a burst of some more.
class RequestRate {
 public:
    /// False: too many so far.
    bool take(core::Instant now);

 private:
    core::Instant full_at_{};  // when the burst is whole again
};

/// Loop thread only.
class TaskSockets {
 public:
    using Ask = core::Callback<net::Task<core::Result<core::Bytes>>(std::string_view call, core::Bytes)>;
    /// All outlives it.
    TaskSockets(net::Loop& loop, const core::Clock& clock, Ask ask, core::Logger logger);
    /// close() has returned.
    ~TaskSockets();

    /// Listens at `path` for the task, in place of a socket there that nobody listens at.
    core::Result<void> open(const std::string& task, const std::string& path);
    /// No more for this task; what is in hand ends.
    void drop(const std::string& task);
    net::Task<void> close();

 private:
    struct Socket;
    using SocketPtr = std::shared_ptr<Socket>;  // also the connections'
    net::Task<void> accept(SocketPtr socket);
    net::Task<void> serve(SocketPtr socket, std::unique_ptr<net::Stream> stream);
    net::Task<net::http::Response> answer(net::http::Request& request, net::http::ConnectionInfo& connection);
    net::Task<core::Result<net::http::Response>> relay(SocketPtr socket, net::http::Request& request);

    net::Loop& loop_;
    const core::Clock& clock_;
    Ask ask_;
    core::Logger logger_;
    net::http::Server server_;
    net::Scope closing_;
    std::map<std::string, SocketPtr> sockets_;  // by task
    size_t requests_ = 0;                       // that wait for a server
};

}  // namespace smackd::cmd
