// One server's log and state on a real disk, without Raft between them: what is proposed is synced to the log
// (fdatasync), applied and committed, one after the other on one thread.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/executor.h"
#include "core/metrics.h"
#include "core/wire/command.pb.h"
#include "net/posix_disk.h"
#include "services/apps/follower.h"
#include "storage/feed/hub.h"
#include "storage/log/log.h"
#include "storage/sqlite/vfs.h"
#include "storage/state/reader.h"
#include "storage/state/state_machine.h"

namespace smackd::bench {

/// Runs work on threads; `done` when the owner asks.
class PolledExecutor final : public core::Executor {
 public:
    ~PolledExecutor() override;
    void submit(core::Callback<void()> work, core::Callback<void()> done) override;
    void poll();

 private:
    std::mutex mutex_;
    std::vector<std::thread> threads_;
    std::vector<core::Callback<void()>> ended_;
};

class Store {
 public:
    /// Log and state as a daemon opens them (segments of 8 MiB, checkpoints beside).
    explicit Store(const std::string& directory);
    ~Store();

    /// Durable and applied when it returns; the commands that were refused. What is more than a log entry may
    /// hold becomes several.
    uint64_t propose(const std::vector<wire::Command>& commands, int64_t now_ms);
    /// Takes what has changed into the model, as the daemon does from its feed.
    std::vector<services::ChangedRow> follow(services::AppsModel& model);
    services::AppsModel load();

    double log_s() const { return log_s_; }
    double apply_s() const { return apply_s_; }
    uint64_t database_bytes() const;
    uint64_t log_bytes() const { return log_written_; }
    void checkpoint() { executor_.poll(); }

 private:
    storage::LogEntry next_entry(const std::vector<wire::Command>& commands, size_t& from, int64_t now_ms);

    std::string directory_;
    net::PosixDisk disk_;
    std::unique_ptr<storage::sqlite::Vfs> vfs_ = storage::sqlite::Vfs::over_unix();
    core::MetricRegistry metrics_;
    storage::feed::Hub hub_{storage::feed::HubLimits{}, metrics_};
    PolledExecutor executor_;
    std::unique_ptr<storage::state::StateMachine> machine_;
    std::unique_ptr<storage::Log> log_;
    std::unique_ptr<storage::feed::Watch> watch_;
    uint64_t index_ = 0;
    uint64_t log_written_ = 0;
    double log_s_ = 0;
    double apply_s_ = 0;
};

/// Ends the program: a figure of something that has failed is none.
[[noreturn]] void stop(const std::string& what);
template <class T>
T must(core::Result<T> result, const char* what) {
    if (!result) stop(std::string(what) + ": " + result.error().to_string());
    if constexpr (!std::is_void_v<T>) return std::move(*result);
}
double seconds_now();
/// Of this thread.
double cpu_seconds_now();

}  // namespace smackd::bench
