// Readers of the state for the API loop: one for each query that runs at once, opened when first needed.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "core/callback.h"
#include "net/loop.h"
#include "net/task.h"
#include "net/worker_pool.h"
#include "services/api/state_reads.h"

namespace smackd::services {

/// Opens one more reader; runs on a worker.
using OpenReader = core::Callback<core::Result<std::unique_ptr<StateReads>>()>;

class ReaderPool {
 public:
    /// `open` is called by one worker at a time. Loop and workers outlive the pool.
    ReaderPool(net::Loop& loop, net::WorkerPool& workers, OpenReader open)
        : loop_(loop), workers_(workers), open_(std::move(open)) {}

    /// Runs `query` on a worker, at the newest committed state. A reader whose query failed by I/O or damage
    /// is not used again: a snapshot may have replaced its file.
    template <class T>
    net::Task<core::Result<T>> run(core::Callback<core::Result<T>(StateReads&)> query) {
        auto result = co_await workers_.run<T>(loop_, [&]() -> core::Result<T> {
            auto reader = take();
            if (!reader) return core::pass(std::move(reader));
            TRY((*reader)->refresh());
            core::Result<T> answer = query(**reader);
            if (answer || !is_broken(answer.error())) give_back(std::move(*reader));
            return answer;
        });
        co_return result;
    }

 private:
    static bool is_broken(const core::Error& error);
    core::Result<std::unique_ptr<StateReads>> take();
    void give_back(std::unique_ptr<StateReads> reader);

    net::Loop& loop_;
    net::WorkerPool& workers_;
    OpenReader open_;
    std::mutex mutex_;
    std::vector<std::unique_ptr<StateReads>> free_;
};

}  // namespace smackd::services
