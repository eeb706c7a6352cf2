#include "services/apps/cache.h"

namespace smackd::services {

net::Task<core::Result<const AppsModel*>> AppsCache::current() {
    while (busy_) CO_TRY(co_await idle_.wait());
    busy_ = true;
    idle_.reset();
    bool reloaded = false;
    auto changed = co_await follower_.next(core::Duration(0), reloaded);
    busy_ = false;
    idle_.set();
    if (!changed) co_return core::pass(std::move(changed));
    co_return &follower_.model();
}

}  // namespace smackd::services
