// Programs run beside tasks for callers on another loop.
#pragma once

#include <map>
#include <memory>

#include "core/callback.h"
#include "net/scope.h"
#include "services/agent/task_runner.h"

namespace smackd::cmd {

class ExecSessions {
 public:
    using Session = std::unique_ptr<agent::ExecSession>;
    using Open = core::Callback<net::Task<core::Result<Session>>()>;

    /// The sessions live on `loop`.
    explicit ExecSessions(net::Loop& loop) : loop_(loop), scope_(loop) {}
    ExecSessions(const ExecSessions&) = delete;
    ExecSessions& operator=(const ExecSessions&) = delete;

    /// Opens one on the loop and gives a session that is used on `caller`, which passes everything on. Once
    /// that is destroyed the program ends. Any thread.
    net::Task<core::Result<Session>> open(net::Loop& caller, Open open);
    /// Ends them all. On the loop; afterwards nothing is opened.
    net::Task<void> close();

 private:
    class Remote;
    template <class T>
    using Ask = core::Callback<net::Task<core::Result<T>>(agent::ExecSession&)>;
    template <class T>
    using Done = core::Callback<void(core::Result<T>)>;

    net::Task<void> start(net::Loop& caller, Open open, Done<Session> done);
    template <class T>
    void ask(uint64_t number, Ask<T> what, Done<T> done);
    void drop(uint64_t number);

    net::Loop& loop_;
    net::Scope scope_;
    /// Shared with what is asked of them just now.
    std::map<uint64_t, std::shared_ptr<agent::ExecSession>> sessions_;
    uint64_t last_ = 0;
};

}  // namespace smackd::cmd
