// Readers of the state for the API loop: one set for each query that runs at once, made when first needed.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "core/callback.h"
#include "core/clock.h"
#include "net/loop.h"
#include "net/task.h"
#include "net/worker_pool.h"
#include "storage/state/reader.h"
#include "storage/state/sql.h"

namespace smackd::services {

template <class Put>
using Row = storage::state::Row<Put>;
template <class Put>
using Rows = storage::state::Rows<Put>;
template <class Put>
using MaybeRow = storage::state::MaybeRow<Put>;
using storage::state::View;

/// What one query has to itself.
struct Readers {
    storage::state::StateReader rows;
    storage::state::SqlReader sql;
};

class ReaderPool {
 public:
    /// Loop, workers, clock and what `options` refer to outlive the pool.
    ReaderPool(net::Loop& loop, net::WorkerPool& workers, storage::state::ReaderOptions options,
               const core::Clock& clock)
        : loop_(loop), workers_(workers), options_(std::move(options)), clock_(clock) {}

    /// Runs `query` on a worker.
    template <class T>
    net::Task<core::Result<T>> run(core::Callback<core::Result<T>(Readers&)> query) {
        auto result = co_await workers_.run<T>(loop_, [&]() -> core::Result<T> {
            std::unique_ptr<Readers> readers = take();
            core::Result<T> answer = query(*readers);
            // After trouble with the files the next query opens them anew.
            if (answer || !is_broken(answer.error())) give_back(std::move(readers));
            return answer;
        });
        co_return result;
    }
    /// Runs `query` on a worker, over the newest committed state.
    template <class T>
    net::Task<core::Result<T>> view(core::Callback<core::Result<T>(View&)> query) {
        auto result = co_await run<T>([&](Readers& readers) -> core::Result<T> {
            TRY_ASSIGN(View view, readers.rows.view());
            return query(view);
        });
        co_return result;
    }

 private:
    static bool is_broken(const core::Error& error);
    std::unique_ptr<Readers> take();
    void give_back(std::unique_ptr<Readers> readers);

    net::Loop& loop_;
    net::WorkerPool& workers_;
    const storage::state::ReaderOptions options_;
    const core::Clock& clock_;
    std::mutex mutex_;
    std::vector<std::unique_ptr<Readers>> free_;
};

}  // namespace smackd::services
