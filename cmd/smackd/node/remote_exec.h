// A program beside a task of another node, by that node's orders (exec_orders.h).
#pragma once

#include <deque>
#include <memory>
#include <string>

#include "core/callback.h"
#include "core/wire/orders.pb.h"
#include "net/loop.h"
#include "services/agent/exec_input.h"

namespace smackd::cmd {

/// After a full answer: a program that writes without end leaves the servers' connections to others too. Some
/// 12 MiB/s for each.
inline constexpr core::Duration kRemoteReadPause = core::milliseconds(5);

/// So long a way that is broken is tried again: an agent finds another server within seconds.
inline constexpr core::Duration kRemoteSilenceMax = core::seconds(10);
inline constexpr core::Duration kRemoteCloseMax = core::seconds(1);
inline constexpr core::Duration kRemoteAgain = core::milliseconds(300);

class RemoteExec final : public agent::ExecInput {
 public:
    /// Asks the node; errors are its, or those of the way there.
    using Ask = core::Callback<net::Task<core::Result<core::Bytes>>(std::string_view method, core::Bytes)>;

    /// `machine`: the node's name, for people.
    static net::Task<core::Result<std::unique_ptr<agent::ExecSession>>> open(net::Loop& loop, Ask ask,
                                                                             std::string machine,
                                                                             wire::OpenExec order);
    RemoteExec(net::Loop& loop, Ask ask, std::string machine, std::string session)
        : loop_(loop), ask_(std::move(ask)), machine_(std::move(machine)), session_(std::move(session)) {}

    net::Task<core::Result<Output>> read() override;
    net::Task<void> close() override;

 private:
    net::Task<core::Result<core::Bytes>> ask_again(std::string_view method, core::Bytes request);
    net::Task<core::Result<void>> fill();
    net::Task<core::Result<void>> put(wire::ShimExecInput input) override;

    net::Loop& loop_;
    Ask ask_;
    std::string machine_;
    std::string session_;
    std::deque<Output> waiting_;
    uint64_t reads_ = 0;  // orders are numbered: one that comes twice is done once
    uint64_t writes_ = 0;
    bool pause_ = false;
};

}  // namespace smackd::cmd
