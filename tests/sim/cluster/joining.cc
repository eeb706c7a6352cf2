// A machine asks its way into the cluster, as `smackd join` does: one member after the other, until one
// says yes or no.
#include <format>

#include "tests/sim/cluster/administrator.h"
#include "tests/sim/cluster/machine.h"
#include "tests/sim/cluster/site.h"

namespace smackd::sim::cluster {

using core::cluster::JoinRefused;
using core::cluster::JoinResult;

namespace {

constexpr core::milliseconds kAnswerLimit{5000};
constexpr int kAttemptsMax = 5;
// Voters may be missing while it is down to ask.
constexpr core::milliseconds kBetweenAsks{3000};

struct Reason {
    const char* word;
    Event event;
    bool final;  ///< another member would say the same
};
constexpr Reason kReasons[] = {
    {"not_registered", Event::kRefusedNotRegistered, true},
    {"suspended", Event::kRefusedSuspended, true},
    {"joined_already", Event::kRefusedJoinedAlready, true},
    {"removed", Event::kRefusedRemoved, true},
    {"older_epoch", Event::kRefusedOlderEpoch, true},
    {"feature_level", Event::kRefusedFeatureLevel, true},
    {"registry", Event::kRefusedByApply, true},
    {"refused", Event::kRefusedByApply, true},
    {"no_recent_proof", Event::kRefusedByApply, true},
    {"raced", Event::kRefusedByApply, false},
};

}  // namespace

struct Administrator::Ask {
    Machine& machine;
    JoinWish wish;
    bool thief = false;
    After done;
    int attempts = 0;
    uint64_t number = 0;  ///< an answer to an older question is late
    uint64_t timeout = 0;
};

/// The daemon is down. With data there, the node that is there asks again.
void Administrator::join(Machine& machine, std::string key, bool thief, After done) {
    ++asking_;
    auto wish = std::make_shared<Ask>(Ask{machine, {}, thief, std::move(done)});
    wish->wish.claim = {machine.name, std::format("smack/{}@R.TEST", machine.name), true, std::move(key), {}};
    wire::JoinRequest& request = wish->wish.request;
    request.set_role("server");
    request.set_address(machine.address);
    request.set_version("sim");
    request.set_zone(zone_of(machine.name));
    request.set_feature_level(machine.feature_level_max);
    if (machine.installation && !thief) {
        request.set_node_id(machine.installation->id);
        request.set_epoch(machine.installation->epoch);
    }
    ask(wish);
}

void Administrator::ask(const std::shared_ptr<Ask>& ask) {
    const auto later = [this, ask] { this->ask(ask); };
    if (++ask->attempts > kAttemptsMax) {
        --asking_;
        if (!ask->thief && !disaster_ && !ask->machine.held_down) ask->machine.boot();
        site_.world.schedule(kBetweenAsks, ask->done);
        return;
    }
    site_.counts.add(Event::kJoinAsked);
    const uint64_t number = ++ask->number;
    ask->timeout = site_.world.schedule(kAnswerLimit, [this, ask, later] {
        ++ask->number;
        site_.note(Event::kJoinUnanswered, ask->machine.name);
        later();
    });
    Machine* member = site_.any_running();
    if (member == nullptr) return;
    site_.world.schedule(site_.hop(), [this, ask, member, number] {
        if (number != ask->number || !member->running()) return;
        const auto life = member->node->life();
        const auto heard = [this, ask, member, number] {
            member->node->admit(ask->wish, [this, ask, number](JoinResult<JoinGrant> answer) {
                site_.world.schedule(site_.hop(), [this, ask, number, moved = std::move(answer)]() mutable {
                    if (number == ask->number) asked(ask, std::move(moved));
                });
            });
        };
        life->schedule(core::Duration{0}, heard, life);
    });
}

void Administrator::asked(const std::shared_ptr<Ask>& ask, JoinResult<JoinGrant> answer) {
    site_.world.cancel(ask->timeout);
    ++ask->number;
    if (!answer && goes_on(*ask, answer.error())) {
        site_.world.schedule(site_.between(50, 300), [this, ask] { this->ask(ask); });
        return;
    }
    if (answer) {
        site_.checker.granted(ask->wish, *answer);
        take(*ask, *answer);
    }
    --asking_;
    ask->done();
}

/// False: the answer is final.
bool Administrator::goes_on(const Ask& ask, const JoinRefused& refused) {
    site_.world.trace(
        std::format("{} is refused: {}: {}", ask.machine.name, refused.reason, refused.error.message));
    for (const Reason& reason : kReasons) {
        if (refused.reason != reason.word) continue;
        site_.counts.add(reason.event);
        const bool old = refused.reason == "feature_level" &&
                         ask.machine.feature_level_max < storage::state::kFeatureLevelMax;
        if (old && !ask.thief) {
            site_.note(Event::kVersionInstalled, ask.machine.name);
            ask.machine.feature_level_max = storage::state::kFeatureLevelMax;
        }
        return !reason.final;
    }
    return true;
}

void Administrator::take(Ask& ask, const JoinGrant& grant) {
    Machine& machine = ask.machine;
    if (ask.thief) return site_.note(Event::kThiefAdmitted, std::format("{} as n{}", machine.name, grant.id));
    const bool again = machine.installation && machine.installation->id == grant.id;
    site_.note(again ? Event::kJoinedAgain : Event::kJoined,
               std::format("{} as n{}", machine.name, grant.id));
    if (!again) machine.install(grant.id, ask.wish.claim.key_sha256);
    machine.installation->generation = grant.generation;
    machine.installation->epoch = grant.epoch;
    machine.installation->registry = grant.registry;
    machine.left_behind = grant.epoch != site_.checker.epoch();  // let in by those that were
    site_.world.schedule(site_.between(1, 50), [this, &machine, id = grant.id] {
        const bool there = machine.installation && machine.installation->id == id;
        if (there && !machine.held_down && !disaster_) machine.boot();
    });
}

}  // namespace smackd::sim::cluster
