// What nearly every request needs of the state, kept in memory: users, groups, rules, the cluster's facts and
// the revoked tokens. Read anew when a change of one of them was committed.
#pragma once

#include <memory>
#include <mutex>
#include <optional>

#include "auth/token.h"
#include "net/sync.h"
#include "net/task.h"
#include "services/api/metrics.h"
#include "services/api/policy_view.h"
#include "services/api/reader_pool.h"
#include "services/api/revocations.h"

namespace smackd::services {

/// One revision of it; never changed once made.
struct StateView {
    PolicyView policy;
    wire::InitCluster cluster;
    uint32_t feature_level = 0;
    Revocations revocations;
};

class StateCache final : public auth::TokenRevocations {
 public:
    StateCache(net::Loop& loop, ReaderPool& readers, ApiMetrics& metrics)
        : readers_(readers), metrics_(metrics), loaded_(loop) {}

    /// The view, read anew first when it is stale. Those who wait together cause one reading. Loop thread.
    net::Task<core::Result<std::shared_ptr<const StateView>>> current();
    /// The view in memory when it is fresh; nullptr otherwise.
    std::shared_ptr<const StateView> fresh() const { return stale_ ? nullptr : view_; }
    /// What was read before may be outdated. Loop thread.
    void invalidate() {
        stale_ = true;
        ++generation_;
    }
    /// Any thread; by the newest view in memory.
    bool revoked(const auth::TokenClaims& claims) const override;

    /// The kinds of the feed after which invalidate() is due.
    static std::vector<std::string> kinds() {
        return {"user",    "group", "rule", "directory_group", "directory_user", "token",
                "cluster", "level", "epoch"};
    }

 private:
    net::Task<core::Result<void>> reload();
    static core::Result<std::shared_ptr<const StateView>> load(View& view);

    ReaderPool& readers_;
    ApiMetrics& metrics_;
    net::Event loaded_;
    bool loading_ = false;
    bool stale_ = true;
    uint64_t generation_ = 0;  // counts invalidations, to notice one during a reading
    std::optional<core::Error> failure_;
    mutable std::mutex mutex_;  // guards the pointer for revoked(); the loop alone changes it
    std::shared_ptr<const StateView> view_;
};

}  // namespace smackd::services
