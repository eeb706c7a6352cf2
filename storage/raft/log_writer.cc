#include "storage/raft/log_writer.h"

#include "core/planted.h"

namespace smackd::storage {
namespace {

uint64_t payload_bytes(const LogWrite& write) {
    uint64_t sum = 0;
    for (const LogEntry& entry : write.entries) sum += record_bytes(entry);
    return sum;
}

}  // namespace

LogWriter::LogWriter(std::shared_ptr<Log> log, core::Executor& executor, core::Timers& timers, Events events)
    : log_(std::move(log)), executor_(executor), timers_(timers), events_(std::move(events)) {
    log_bytes_ = log_->bytes();
}

LogWriter::~LogWriter() {
    *alive_ = false;
    timers_.cancel(retry_);
}

void LogWriter::submit(LogWrite write) {
    queued_bytes_ += payload_bytes(write);
    queue_.push_back(std::move(write));
    if (!running_ && retry_ == 0) start();
}

void LogWriter::start() {
    // Begun in the next turn of the loop: what arrives within this one goes along. Appends that continue each
    // other become one batch, hence one sync.
    running_ = true;
    timers_.start(core::Duration{0}, [this, alive = alive_] {
        if (!*alive) return;
        auto job = std::make_shared<Job>();
        job->log = log_;
        for (const LogWrite& write : queue_) {
            LogWrite* last = job->writes.empty() ? nullptr : &job->writes.back();
            const bool joins = last != nullptr && write.kind == LogWrite::Kind::kAppend &&
                               last->kind == LogWrite::Kind::kAppend &&
                               last->entries.back().index.next() == write.entries.front().index;
            if (joins) {
                last->entries.insert(last->entries.end(), write.entries.begin(), write.entries.end());
                last->serials.insert(last->serials.end(), write.serials.begin(), write.serials.end());
            } else {
                job->writes.push_back(write);
            }
        }
        queue_ = job->writes;
        executor_.submit([job] { run(*job); },
                         [this, job, alive_then = alive] {
                             if (*alive_then) finished(*job);
                         });
    });
}

void LogWriter::run(Job& job) {
    for (const LogWrite& write : job.writes) {
        switch (write.kind) {
            case LogWrite::Kind::kAppend:
                job.outcome = job.log->append(write.entries);
                break;
            case LogWrite::Kind::kReset:
                job.outcome = job.log->reset(write.index);
                break;
            case LogWrite::Kind::kCut:
                job.outcome = job.log->cut_prefix(write.index);
                break;
        }
        if (!job.outcome) break;
        ++job.done;
    }
    job.log_bytes = job.log->bytes();
}

void LogWriter::finished(Job& job) {
    running_ = false;
    log_bytes_ = job.log_bytes;
    for (size_t i = 0; i < job.done; ++i) {
        const LogWrite write = std::move(queue_.front());
        queue_.pop_front();
        queued_bytes_ -= payload_bytes(write);
        const std::shared_ptr<bool> alive = alive_;
        events_.done(write);
        if (!*alive) return;
    }
    if (!job.outcome) {
        trouble_ = job.outcome.error();
        events_.condition(&*trouble_);
        retry_ = timers_.start(kDiskRetry, [this] {
            retry_ = 0;
            if (!running_ && !queue_.empty()) start();
        });
        return;
    }
    if (trouble_) {
        trouble_.reset();
        events_.condition(nullptr);
    }
    if (!running_ && retry_ == 0 && !queue_.empty()) start();
}

}  // namespace smackd::storage
