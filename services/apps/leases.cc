#include "services/apps/leases.h"

#include <utility>

#include "net/system_clock.h"

namespace smackd::services {

using core::Result;

namespace {

int64_t lease_from(int64_t asked_ms) {
    return asked_ms + std::chrono::floor<core::milliseconds>(apps::kLease).count();
}

}  // namespace

net::Task<Result<OwnTasks>> read_own_tasks(net::Loop& loop, net::WorkerPool& workers,
                                           storage::state::ReaderOptions reader, core::NodeId node) {
    co_return co_await workers.run<OwnTasks>(loop, [&reader, node]() -> Result<OwnTasks> {
        storage::state::StateReader state(reader);
        TRY_ASSIGN(auto view, state.view());
        return view.own_tasks(node);
    });
}

LeaseKeeper::LeaseKeeper(net::Loop& loop, agent::TaskRunner& runner, AskOwnTasks ask, core::Logger logger)
    : loop_(loop),
      runner_(runner),
      ask_(std::move(ask)),
      logger_(std::move(logger)),
      wanted_(loop),
      scope_(loop) {
    scope_.spawn(run());
}

net::Task<void> LeaseKeeper::close() {
    co_await scope_.close();
}

void LeaseKeeper::keep(const std::string& task) {
    kept_.insert(task);
    wanted_.set();
}

net::Task<Result<int64_t>> LeaseKeeper::grant(std::string task) {
    while (true) {
        const int64_t asked_ms = net::boot_time_ms();
        auto own = co_await net::with_deadline(loop_, kLeaseAnswerLimit, "the state", ask_());
        if (own && own->contains(task)) co_return lease_from(asked_ms);
        CO_TRY(co_await net::sleep(loop_, kLeaseRetry));
    }
}

net::Task<void> LeaseKeeper::run() {
    while (!scope_.cancelled()) {
        auto wanted = co_await wanted_.wait();
        if (!wanted) co_return;
        auto renewed = co_await renew();
        if (scope_.cancelled()) co_return;
        if (!renewed)
            logger_.warning("leases of tasks are not renewed", {{"error", renewed.error().message}});
        auto slept = co_await net::sleep(loop_, renewed ? apps::kLeaseRenewal : kLeaseRetry);
        if (!slept) co_return;
        if (kept_.empty()) wanted_.reset();
    }
}

net::Task<Result<void>> LeaseKeeper::renew() {
    if (kept_.empty()) co_return Result<void>();
    const int64_t asked_ms = net::boot_time_ms();
    CO_TRY_ASSIGN(const OwnTasks own,
                  co_await net::with_deadline(loop_, kLeaseAnswerLimit, "the state", ask_()));
    // Side by side: a shim that does not answer must not cost the others their leases.
    for (const std::string& task : kept_) {
        if (own.contains(task)) scope_.spawn(tell(task, lease_from(asked_ms)));
    }
    co_return Result<void>();
}

net::Task<void> LeaseKeeper::tell(std::string task, int64_t until_ms) {
    auto told = co_await runner_.renew_lease(task, until_ms);
    if (told || told.error().code == core::Errc::kNotFound || scope_.cancelled()) co_return;
    logger_.warning("a task's lease is not renewed", {{"task", task}, {"error", told.error().message}});
}

}  // namespace smackd::services
