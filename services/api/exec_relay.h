// A program beside a task's command, relayed between its session and a client's WebSocket (exec_message.h).
#pragma once

#include "core/callback.h"
#include "net/http/websocket_stream.h"
#include "net/loop.h"
#include "services/agent/task_runner.h"
#include "services/api/exec_message.h"

namespace smackd::services {

struct ExecLimits {
    core::Duration start = std::chrono::seconds(10);  ///< from the upgrade to the first message
    core::Duration idle = std::chrono::hours(1);      ///< without a byte that went either way
    core::Duration ping = std::chrono::seconds(30);   ///< finds clients that are gone without a word
    core::Duration look = std::chrono::seconds(1);    ///< whether the caller may still
};

class ExecRelay {
 public:
    /// Whether the caller may still do this; the error ends it.
    using Welcome = core::Callback<net::Task<core::Result<void>>()>;
    /// All outlive it.
    ExecRelay(net::Loop& loop, net::http::WebSocket& socket, Welcome& welcome, ExecLimits limits = {})
        : loop_(loop), socket_(socket), welcome_(welcome), limits_(limits) {}

    /// The client's first message. kInvalid names what is wrong with it, kTimeout after ExecLimits::start.
    net::Task<core::Result<wire::ShimExec>> first();
    /// How the program ended, when all it wrote has been sent; or why this ended before it: kCancelled when
    /// the client went away, kTimeout when nothing happened, the error of `welcome`, or the session's.
    net::Task<core::Result<wire::ShimExecExit>> run(agent::ExecSession& session);
    /// Tells the client how it ended and closes the WebSocket; gives up after ExecLimits::idle.
    net::Task<void> tell(core::Result<wire::ShimExecExit> outcome);

 private:
    net::Task<core::Result<wire::ShimExecExit>> relay_output(agent::ExecSession& session);
    net::Task<void> relay_input(agent::ExecSession& session, net::Cancellation& relaying);
    net::Task<core::Result<void>> next_input(agent::ExecSession& session);
    net::Task<void> watch(net::Cancellation& relaying);
    net::Task<core::Result<void>> look();
    net::Task<core::Result<void>> say(core::Json what, uint16_t close_code);
    net::Task<void> ping(net::Cancellation& relaying);

    net::Loop& loop_;
    net::http::WebSocket& socket_;
    Welcome& welcome_;
    ExecLimits limits_;
    core::Instant last_byte_{};
};

}  // namespace smackd::services
