// Feeds the durable log from the consensus loop: one job at a time on the log executor, everything that
// queued up meanwhile goes into the next, and what the disk refuses is tried again.
#pragma once

#include <deque>
#include <memory>

#include "core/clock.h"
#include "core/executor.h"
#include "storage/log/log.h"

namespace smackd::storage {

inline constexpr core::milliseconds kDiskRetry{500};

/// Something to do to the log, in order.
struct LogWrite {
    enum class Kind : uint8_t { kAppend, kReset, kCut };
    Kind kind = Kind::kAppend;
    std::vector<LogEntry> entries;  ///< kAppend: contiguous
    std::vector<uint64_t> serials;  ///< of the entries in memory
    core::Index index;              ///< kReset: next index; kCut: remove up to here
};

class LogWriter {
 public:
    struct Events {
        core::Callback<void(const LogWrite&)> done;  ///< durable
        core::Callback<void(const core::Error*)>
            condition;  ///< the disk refuses (error) or works again (null)
    };

    LogWriter(std::shared_ptr<Log> log, core::Executor& executor, core::Timers& timers, Events events);
    ~LogWriter();
    LogWriter(const LogWriter&) = delete;
    LogWriter& operator=(const LogWriter&) = delete;

    void submit(LogWrite write);
    bool idle() const { return queue_.empty(); }
    /// What is queued or being written, in payload bytes.
    uint64_t queued_bytes() const { return queued_bytes_; }
    /// Of the segments on disk, as of the last finished job.
    uint64_t log_bytes() const { return log_bytes_; }
    /// The disk refused the last job: new proposals would only wait.
    const std::optional<core::Error>& trouble() const { return trouble_; }

 private:
    /// A job's own copy of what it works on: it may outlive the writer.
    struct Job {
        std::shared_ptr<Log> log;
        std::deque<LogWrite> writes;
        size_t done = 0;
        core::Result<void> outcome;
        uint64_t log_bytes = 0;
    };
    void start();
    void finished(Job& job);
    static void run(Job& job);

    std::shared_ptr<Log> log_;
    core::Executor& executor_;
    core::Timers& timers_;
    Events events_;
    std::deque<LogWrite> queue_;
    bool running_ = false;
    core::TimerId retry_ = 0;
    uint64_t queued_bytes_ = 0;
    uint64_t log_bytes_ = 0;
    std::optional<core::Error> trouble_;
    std::shared_ptr<bool> alive_ =
        std::make_shared<bool>(true);  ///< false once this is gone; jobs hold a copy
};

}  // namespace smackd::storage
