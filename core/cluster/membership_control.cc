#include "core/cluster/membership_control.h"

#include "core/planted.h"

namespace smackd::core::cluster {

MembershipControl::MembershipControl(World world) : world_(std::move(world)) {}

MembershipControl::~MembershipControl() {
    *alive_ = false;
    world_.timers.cancel(timer_);
}

void MembershipControl::set_registry(std::shared_ptr<const Registry> registry) {
    registry_ = std::move(registry);
    decide();
}

void MembershipControl::decide() {
    Standing standing = world_.standing();
    if (world_.plans) world_.plans(standing.leads && standing.may_plan);
    const bool busy = changing_ && !SMACK_BUG("membership_changes_two_at_once");
    if (busy || !registry_ || !standing.leads) return;
    if (!standing.may_plan && !SMACK_BUG("membership_plans_too_early")) {
        world_.timers.cancel(timer_);
        timer_ = world_.timers.start(kPlanWait, [this] { decide(); });
        return;
    }
    MembershipView view = MembershipView::of(world_.self, *registry_, std::move(standing.servers));
    view.failures = failures_;
    if (const auto next = decide_membership(view)) begin(*next);
}

void MembershipControl::begin(const MembershipChange& wanted) {
    changing_ = true;
    world_.logger.info("changing the servers",
                       {{"change", membership_change_name(wanted.kind)}, {"node", wanted.node.value}});
    world_.change(wanted, [this, wanted, alive = alive_](Result<void> result) {
        if (*alive) ended(wanted, result);
    });
}

void MembershipControl::ended(const MembershipChange& change, const Result<void>& result) {
    if (!result) {
        world_.logger.warning("the servers were not changed",
                              {{"change", membership_change_name(change.kind)},
                               {"node", change.node.value},
                               {"error", result.error().message}});
    }
    using Kind = MembershipChange::Kind;
    if ((change.kind == Kind::kPromote || change.kind == Kind::kAdd) && !result) ++failures_[change.node];
    if (result) failures_.erase(change.node);
    world_.timers.cancel(timer_);
    timer_ = world_.timers.start(kMembershipPause, [this] {
        changing_ = false;
        decide();
    });
}

}  // namespace smackd::core::cluster
