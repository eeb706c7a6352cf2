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
    auto loaded = co_await readers_.view<ViewPointer>([](View& view) { return load(view); });
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

Result<ViewPointer> StateCache::load(View& view) {
    auto loaded = std::make_shared<StateView>();
    TRY_ASSIGN(auto cluster, view.cluster());
    if (!cluster) return core::fail(core::Errc::kUnavailable, "the cluster is not set up yet");
    loaded->cluster = std::move(cluster->put);
    loaded->feature_level = view.point().feature_level;
    PolicyRows rows;
    TRY_ASSIGN(auto users, view.users());
    for (auto& user : users) rows.users.push_back(std::move(user.put));
    TRY_ASSIGN(auto groups, view.groups());
    for (auto& group : groups) rows.groups.push_back(std::move(group.put));
    TRY_ASSIGN(auto rules, view.rules());
    for (auto& rule : rules) rows.rules.push_back(std::move(rule.put));
    TRY_ASSIGN(auto directory_groups, view.directory_groups());
    for (auto& group : directory_groups) rows.directory_groups.push_back(std::move(group.put));
    TRY_ASSIGN(auto directory_users, view.directory_users());
    for (auto& user : directory_users) rows.directory_users.push_back(std::move(user.put));
    TRY_ASSIGN(auto revoked, view.revoked_tokens());
    std::vector<wire::RevokeTokens> revocations;
    for (auto& row : revoked) revocations.push_back(std::move(row.put));
    loaded->policy = PolicyView(rows);
    loaded->revocations = Revocations(revocations);
    return ViewPointer(std::move(loaded));
}

}  // namespace smackd::services
