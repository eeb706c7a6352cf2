#include "services/apps/follower.h"

#include "net/scope.h"

namespace smackd::services {

using core::Result;
using storage::feed::RecordPtr;

namespace {

constexpr size_t kRecordsPerTake = 256;

}  // namespace

net::Task<Result<void>> AppsFollower::load() {
    feed_.reset();
    CO_TRY_ASSIGN(model_, co_await workers_.run<AppsModel>(loop_, [this]() -> Result<AppsModel> {
        storage::state::StateReader reader(reader_options_);
        TRY_ASSIGN(auto view, reader.view());
        return AppsModel::load(view);
    }));
    CO_TRY_ASSIGN(feed_, FeedReader::open(loop_, hub_, model_.revision,
                                          {.kinds = AppsModel::kinds(), .key_prefix = {}}));
    co_return Result<void>();
}

net::Task<Result<std::vector<ChangedRow>>> AppsFollower::next(core::Duration limit, bool& reloaded) {
    reloaded = false;
    std::vector<ChangedRow> changed;
    if (feed_ == nullptr) {
        reloaded = true;
        CO_TRY(co_await load());
        co_return changed;
    }
    auto taken = feed_->take(kRecordsPerTake);
    if (taken && taken->empty() && limit > core::Duration(0)) {
        taken =
            co_await net::with_deadline(loop_, limit, "waiting for changes", feed_->next(kRecordsPerTake));
        if (!taken && taken.error().code == core::Errc::kTimeout) co_return changed;
    }
    while (taken && !taken->empty()) {
        for (const RecordPtr& record : *taken) {
            CO_TRY(model_.apply(*record));
            changed.emplace_back(record->kind, record->key);
        }
        taken = feed_->take(kRecordsPerTake);
    }
    if (taken) co_return changed;
    if (taken.error().code == core::Errc::kCancelled) co_return core::pass(std::move(taken));
    reloaded = true;
    CO_TRY(co_await load());
    co_return changed;
}

}  // namespace smackd::services
