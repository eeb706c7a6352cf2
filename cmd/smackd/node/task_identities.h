// The identities of the tasks that run on this node: for each a directory with its token, renewed well before
// it ends, and its socket.
//
// Nothing is kept of them but these directories, in memory-backed /run: a daemon that starts finds the tasks
// with the runner and serves each socket anew in the directory that the task sees.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "cmd/smackd/node/identity_directory.h"
#include "cmd/smackd/node/task_sockets.h"
#include "net/sync.h"
#include "services/apps/agent.h"

namespace smackd::cmd {

/// How long the start of a task waits for its first token.
inline constexpr core::Duration kFirstTokenLimit = core::milliseconds(300);
/// Between tries to get a token: the first pause, doubled each time up to the last.
inline constexpr core::Duration kTokenRetryMin = core::milliseconds(250);
inline constexpr core::Duration kTokenRetryMax = core::seconds(15);
/// Tokens asked for at once.
inline constexpr size_t kTokensAtOnce = 8;

/// Called on one loop, works on another.
class TaskIdentities final : public services::IdentitySource {
 public:
    struct Environment {
        net::Loop& home;  ///< whose thread calls
        net::Loop& loop;  ///< of the sockets; another thread's
        const core::Clock& clock;
        core::Logger logger;
        std::string directory;  ///< absolute, there, of root alone; short: sockets are below it
        AskForTask ask;
    };
    /// All outlives it.
    explicit TaskIdentities(Environment environment);
    /// close() has returned.
    ~TaskIdentities() override;

    net::Task<core::Result<std::string>> open(std::string task) override;
    void keep(std::string task, std::string directory) override;
    void drop(std::string task) override;
    /// Removes the directories of all but these tasks.
    void sweep(std::set<std::string> tasks);
    /// The directories stay.
    net::Task<void> close();

 private:
    struct Identity;
    using IdentityPtr = std::shared_ptr<Identity>;  // also its renewal's

    // On the sockets' loop.
    std::string path_of(const std::string& task) const;
    core::Result<IdentityPtr> begin(const std::string& task);
    net::Task<core::Result<std::string>> open_here(std::string task);
    void drop_here(const std::string& task);
    void sweep_here(const std::set<std::string>& tasks) const;
    net::Task<core::Result<bool>> close_here();
    net::Task<void> renew(IdentityPtr identity);
    net::Task<core::Result<core::Duration>> renew_once(IdentityPtr identity);
    net::Task<core::Result<core::Bytes>> ask(std::string_view call, core::Bytes request);

    Environment environment_;
    net::Scope scope_;
    net::Scope closing_;
    net::Semaphore asking_;
    TaskSockets sockets_;
    std::map<std::string, IdentityPtr> identities_;  // by task
};

}  // namespace smackd::cmd
