#include "services/apps/scheduler.h"

#include <algorithm>

#include "core/wire/serialize.h"
#include "services/apps/warm_plan.h"

namespace smackd::services {

using core::Result;

namespace {

constexpr core::Duration kIdleWait = core::seconds(60);

}  // namespace

Scheduler::Scheduler(Parts parts)
    : parts_(std::move(parts)),
      scope_(parts_.loop),
      leads_(parts_.loop),
      follower_(parts_.loop, parts_.workers, parts_.hub, parts_.reader) {
    scope_.spawn(run());
}

void Scheduler::lead(std::optional<core::Term> term) {
    if (term_ == term) return;
    term_ = term;
    if (term_) {
        leads_.set();
    } else {
        leads_.reset();
    }
}

net::Task<void> Scheduler::close() {
    co_await scope_.close();
}

net::Task<void> Scheduler::run() {
    while (!scope_.cancelled()) {
        auto leads = co_await leads_.wait();
        if (!leads) co_return;
        auto worked = co_await work();
        if (scope_.cancelled()) co_return;
        if (worked) continue;
        parts_.logger.warning("scheduling applications", {{"error", worked.error().message}});
        auto slept = co_await net::sleep(parts_.loop, kScheduleRetry);
        if (!slept) co_return;
    }
}

net::Task<Result<void>> Scheduler::work() {
    CO_TRY(co_await follower_.load());
    leases_ = {};  // what was not watched may have been renewed meanwhile
    std::optional<WarmPlan> plan;
    while (term_) {
        if (!plan) plan.emplace(follower_.model(), parts_.self);
        apps::Decision decision = plan->decide(parts_.liveness(), leases_, parts_.clock.now(),
                                               parts_.clock.wall().unix_ms, parts_.random);
        const core::Duration wait = pause(decision);
        CO_TRY_ASSIGN(const bool acted, co_await carry_out(std::move(decision)));
        bool reloaded = false;
        CO_TRY_ASSIGN(const auto changed,
                      co_await follower_.next(acted ? core::Duration(0) : wait, reloaded));
        if (reloaded) {
            plan.reset();
        } else {
            plan->take(changed);
        }
    }
    co_return Result<void>();
}

core::Duration Scheduler::pause(const apps::Decision& decision) const {
    core::Duration wait = follower_.model().nodes.size() > 1 ? kLivenessLook : kIdleWait;
    if (decision.next_ms > 0) {
        const int64_t until = decision.next_ms - parts_.clock.wall().unix_ms;
        wait = std::min<core::Duration>(wait, core::milliseconds(std::max<int64_t>(until, 1)));
    }
    if (const auto lease = leases_.next(parts_.clock.now())) wait = std::min(wait, *lease);
    return wait;
}

/// True when something was proposed; the state has its outcome then.
net::Task<Result<bool>> Scheduler::carry_out(apps::Decision decision) {
    const auto* hold =
        decision.actions.empty() ? nullptr : std::get_if<apps::HoldReplacement>(&decision.actions.front());
    const uint32_t unreachable = hold == nullptr ? 0 : hold->outage.unreachable;
    if (unreachable != held_) {
        if (hold != nullptr) {
            parts_.logger.error("alarm nodes", {{"what", hold->outage.text()}});
        } else {
            parts_.logger.info("alarm over", {{"alarm", "nodes"}});
        }
    }
    held_ = unreachable;
    auto commands = commands_of(decision, follower_.model(), *term_, parts_.clock.wall().unix_ms);
    if (commands.empty()) co_return false;
    auto round = std::make_shared<Round>(parts_.loop);
    round->pending = commands.size();
    for (wire::Command& command : commands) propose(round, std::move(command));
    CO_TRY(co_await round->done.wait());
    if (round->reached.number > 0) {
        CO_TRY(co_await wait_for_revision(parts_.loop, parts_.hub, round->reached));
    }
    if (round->refused > 0) CO_TRY(co_await net::sleep(parts_.loop, kScheduleRetry));
    co_return true;
}

void Scheduler::propose(const std::shared_ptr<Round>& round, wire::Command command) {
    parts_.propose(
        wire::serialize(command), [this, round, &loop = parts_.loop](Result<core::Bytes> result) mutable {
            loop.post(
                [this, round, result = std::move(result)] {
                    wire::CommandResult outcome;
                    const bool parsed = result && outcome.ParseFromString(*result);
                    if (!parsed || outcome.code() != 0) {
                        ++round->refused;
                        parts_.logger.info("a decision was not carried out",
                                           {{"why", result ? outcome.message() : result.error().message}});
                    } else {
                        round->reached =
                            std::max(round->reached, core::Revision{outcome.epoch(), outcome.revision()});
                    }
                    if (--round->pending == 0) round->done.set();
                },
                "scheduler");
        });
}

}  // namespace smackd::services
