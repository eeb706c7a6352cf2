#include "services/api/state_view.h"

namespace smackd::services {

using core::Result;
using ViewPointer = std::shared_ptr<const StateView>;

net::Task<Result<ViewPointer>> StateCache::current() {
    // A reading that was under way when this call came may miss what the caller has just changed; the one
    // after it cannot, however often the state changes.
    for (int waits = 0; stale_ && loading_ && waits < 2; ++waits) {
        CO_TRY(co_await loaded_.wait());
        if (failure_) co_return std::unexpected(*failure_);
    }
    if (stale_ && !loading_) CO_TRY(co_await reload());
    co_return view_;
}

net::Task<Result<void>> StateCache::reload() {
    loading_ = true;
    loaded_.reset();
    failure_.reset();
    const uint64_t generation = generation_;
    auto loaded = co_await readers_.run<ViewPointer>([](StateReads& reads) { return load(reads); });
    metrics_.policy_reloads.add();
    loading_ = false;
    if (loaded) {
        const std::scoped_lock lock(mutex_);
        view_ = std::move(*loaded);
        stale_ = generation != generation_;  // invalidated meanwhile: the next caller reads again
    } else {
        failure_ = loaded.error();
    }
    loaded_.set();
    if (failure_) co_return std::unexpected(*failure_);
    co_return Result<void>();
}

bool StateCache::revoked(const auth::TokenClaims& claims) const {
    const std::scoped_lock lock(mutex_);
    return view_ != nullptr && view_->revocations.covers(claims);
}

Result<ViewPointer> StateCache::load(StateReads& reads) {
    auto view = std::make_shared<StateView>();
    TRY_ASSIGN(const core::Revision revision, reads.revision());
    TRY_ASSIGN(view->cluster, reads.cluster());
    PolicyRows rows;
    TRY_ASSIGN(auto users, reads.users());
    for (auto& user : users) rows.users.push_back(std::move(user.row));
    TRY_ASSIGN(auto groups, reads.groups());
    for (auto& group : groups) rows.groups.push_back(std::move(group.row));
    TRY_ASSIGN(auto rules, reads.rules());
    for (auto& rule : rules) rows.rules.push_back(std::move(rule.row));
    TRY_ASSIGN(const auto revoked, reads.revoked_tokens());
    view->policy = PolicyView(rows, revision);
    view->revocations = Revocations(revoked);
    return ViewPointer(std::move(view));
}

}  // namespace smackd::services
