#include "tests/sim/checker.h"

#include <format>

#include "core/wire/command.pb.h"
#include "core/wire/feed.pb.h"

namespace smackd::sim {
namespace {

constexpr uint64_t kDigestEvery = 16;  // applied indexes at which states are compared in passing

}  // namespace

void Checker::look(Process& process) {
    Follower& follower = followers_[process.id()];
    const uint64_t revision = process.state().revision().number;
    const uint64_t applied = process.state().applied().value;
    if (applied % kDigestEvery == 0 && applied != 0 && (revision != follower.revision || !follower.watch)) {
        if (auto digest = process.state().digest()) {
            const auto [known, fresh] = digests_.emplace(applied, *digest);
            if (!fresh && known->second != *digest) {
                world_.trace(std::format("n{} revision {}", process.id(), revision));
                world_.violate(std::format("n{} differs from another server at applied index {}",
                                           process.id(), applied));
            }
        }
    }
    if (revision != follower.revision || !follower.watch) follow_feed(process, follower);
    follower.revision = revision;
}

void Checker::follow_feed(Process& process, Follower& follower) {
    if (!follower.watch) {
        // After a power failure the state may be behind what it showed: the token is good again once it is
        // there.
        if (process.hub().head().number < follower.seen) return;
        const core::Revision from{.epoch = follower.epoch, .number = follower.seen};
        auto watch = process.hub().watch(from, storage::feed::Filter{}, [] {});
        if (!watch)
            return world_.violate(std::format("n{}: watch from {} refused: {}", process.id(),
                                              from.to_string(), watch.error().to_string()));
        follower.watch = std::move(*watch);
    }
    for (;;) {
        auto records = follower.watch->take(256);
        if (!records) {
            return world_.violate(
                std::format("n{}: watch ended: {}", process.id(), records.error().to_string()));
        }
        if (records->empty()) return;
        for (const auto& record : *records) {
            if (record->revision.number != follower.seen + 1) {
                return world_.violate(std::format("n{}: the feed goes from revision {} to {}", process.id(),
                                                  follower.seen, record->revision.number));
            }
            follower.seen = record->revision.number;
            wire::FeedChange change;
            wire::PutSetting setting;
            change.ParseFromString(record->encoded);
            if (record->kind == "setting") setting.ParseFromString(change.row());
            learn(process.id(), follower.seen, Change{record->kind, record->key, setting.value()});
        }
    }
}

void Checker::learn(uint64_t node, uint64_t revision, Change change) {
    const auto known = history_.find(revision);
    if (known != history_.end()) {
        if (known->second == change) return;
        return world_.violate(std::format(
            "revision {} is {} '{}' = '{}' on n{}, was {} '{}' = '{}' elsewhere", revision, change.kind,
            change.key, change.value, node, known->second.kind, known->second.key, known->second.value));
    }
    if (change.kind == "setting") {
        const auto [value, fresh] = values_.emplace(change.value, revision);
        if (!fresh) {
            world_.violate(std::format("'{}' was applied twice, at revisions {} and {}", change.value,
                                       value->second, revision));
        }
        versions_[change.key][revision] = true;
    }
    world_.trace(std::format("n{} first to show {}: {} {} {}", node, revision, change.kind, change.key,
                             change.value.substr(0, 8)));
    history_[revision] = std::move(change);
}

void Checker::forget_life(Process& process) {
    Follower& follower = followers_[process.id()];
    follower.watch.reset();
    follower.planned = false;
    follower.revision = 0;
}

void Checker::leads(uint64_t node, uint64_t term) {
    const auto [known, fresh] = leaders_.emplace(term, node);
    if (!fresh && known->second != node) {
        world_.violate(std::format("n{} and n{} both lead term {}", known->second, node, term));
    }
}

/// Leader completeness: once a leader may plan, it has everything that was acknowledged before its term
/// began.
void Checker::observe(Process& process, const storage::ReplicaStatus& status) {
    Follower& follower = followers_[process.id()];
    const bool plans = status.may_plan;
    if (plans && (!follower.planned || follower.term != status.term.value) &&
        process.state().revision().number < acknowledged_) {
        world_.violate(std::format("n{} leads term {} at revision {}, {} was acknowledged", process.id(),
                                   status.term.value, process.state().revision().number, acknowledged_));
    }
    follower.planned = plans;
    follower.term = status.term.value;
}

void Checker::acknowledged(const std::string& value, uint64_t revision, uint64_t floor, bool two_changes) {
    const uint64_t own = two_changes ? revision - 1 : revision;
    const auto found = values_.find(value);
    if (found == values_.end() || found->second != own) {
        world_.violate(std::format("'{}' was acknowledged at revision {} but is {}", value, own,
                                   found == values_.end() ? "nowhere" : std::format("at {}", found->second)));
    }
    if (revision <= floor) {
        world_.violate(
            std::format("'{}' at revision {} began after {} was acknowledged", value, revision, floor));
    }
    acknowledged_ = std::max(acknowledged_, revision);
}

void Checker::acknowledged_expecting(const std::string& key, uint64_t version, uint64_t revision) {
    const auto& revisions = versions_[key];
    const auto own = revisions.find(revision);
    const uint64_t before = own == revisions.end() || own == revisions.begin() ? 0 : std::prev(own)->first;
    if (before != version) {
        world_.violate(std::format("'{}' was changed at revision {} expecting version {}, it was {}", key,
                                   revision, version, before));
    }
}

void Checker::read(uint64_t revision, uint64_t floor) {
    if (revision < floor) {
        world_.violate(
            std::format("a consistent read saw revision {}, {} was acknowledged before it", revision, floor));
    }
}

uint64_t Checker::version_of(const std::string& key) const {
    const auto found = versions_.find(key);
    return found == versions_.end() || found->second.empty() ? 0 : found->second.rbegin()->first;
}

void Checker::compare_all(std::map<uint64_t, std::unique_ptr<Process>>& processes) {
    std::string first;
    for (auto& [id, process] : processes) {
        if (process->state().revision().number < acknowledged_) {
            world_.violate(std::format("n{} ends at revision {}, {} was acknowledged", id,
                                       process->state().revision().number, acknowledged_));
        }
        auto digest = process->state().digest();
        if (!digest) return world_.violate(std::format("n{}: no digest: {}", id, digest.error().message));
        if (first.empty()) first = *digest;
        if (*digest != first)
            world_.violate(std::format("n{} ends with another state than n{}", id, processes.begin()->first));
        if (followers_[id].seen != process->state().revision().number) {
            world_.violate(std::format("n{}: the feed ends at revision {}, the state at {}", id,
                                       followers_[id].seen, process->state().revision().number));
        }
    }
}

}  // namespace smackd::sim
