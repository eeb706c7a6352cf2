#include "tests/sim/checker.h"

#include <algorithm>
#include <format>

#include "core/wire/command.pb.h"
#include "core/wire/feed.pb.h"

namespace smackd::sim {
namespace {

constexpr uint64_t kDigestEvery = 16;  // applied indexes at which states are compared in passing
constexpr uint32_t kAuditRowsMax = 100'000;

template <class Put>
const std::string& key_of(const Put& put) {
    return put.name();
}
const std::string& key_of(const wire::PutRule& rule) {
    return rule.id();
}

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
            learn(process.id(), follower.seen, *record);
        }
    }
}

void Checker::learn(uint64_t node, uint64_t revision, const storage::feed::Record& record) {
    if (revision <= history_.size()) {
        const Shown& known = history_[revision - 1];
        if (known.encoded == record.encoded) return;
        return world_.violate(
            std::format("revision {} is {} '{}' on n{}, elsewhere it is {} '{}' or differs "
                        "in content or time",
                        revision, record.kind, record.key, node, known.change.kind, known.change.key));
    }
    wire::FeedChange change;
    if (!change.ParseFromString(record.encoded) || change.revision() != revision)
        return world_.violate(std::format("n{}: revision {} cannot be read", node, revision));
    if (!history_.empty() && change.time_ms() < history_.back().time_ms) {
        world_.violate(std::format("n{}: time runs backwards by {} ms at revision {}", node,
                                   history_.back().time_ms - change.time_ms(), revision));
    }
    if (forbidden_.contains(change.row()))
        world_.violate(std::format("n{}: revision {} is of a command that was refused", node, revision));
    // A group is written again when a member goes; all else that clients write is unique.
    if (!change.row().empty() && record.kind != "group") {
        const auto [first, fresh] = written_.emplace(change.row(), revision);
        if (!fresh) {
            world_.violate(std::format("{} '{}' was applied twice, at revisions {} and {}", record.kind,
                                       record.key, first->second, revision));
        }
    }
    world_.trace(std::format("n{} first to show {}: {} {}", node, revision, record.kind, record.key));
    wire::RaiseFeatureLevel level;
    if (record.kind == "level" && level.ParseFromString(change.row())) feature_level_ = level.level();
    changes_[{record.kind, record.key}].insert(revision);
    history_.push_back(
        Shown{{record.kind, record.key, change.row(), record.removed}, record.encoded, change.time_ms()});
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
    // A deposed leader that has not heard of it may learn late that its first entry is committed, while a
    // newer one has acknowledged more already.
    const bool deposed = !leaders_.empty() && leaders_.rbegin()->first > status.term.value;
    if (plans && !deposed && (!follower.planned || follower.term != status.term.value) &&
        process.state().revision().number < known_) {
        world_.violate(std::format("n{} leads term {} at revision {}, {} was acknowledged", process.id(),
                                   status.term.value, process.state().revision().number, known_));
    }
    follower.planned = plans;
    follower.term = status.term.value;
}

void Checker::acknowledged(const std::vector<Change>& changes, uint64_t revision, uint64_t floor) {
    for (size_t i = 0; i < changes.size(); ++i) {
        const uint64_t own = revision - changes.size() + 1 + i;
        if (own != 0 && own <= history_.size() && history_[own - 1].change == changes[i]) continue;
        world_.violate(
            std::format("{} '{}' was acknowledged as revision {}, which is something else or nowhere",
                        changes[i].kind, changes[i].key, own));
    }
    if (revision <= floor) {
        world_.violate(
            std::format("a write at revision {} began after revision {} was known", revision, floor));
    }
    commands_.insert(revision);
    known_ = std::max(known_, revision);
}

void Checker::acknowledged_expecting(const std::string& key, uint64_t version, uint64_t revision) {
    const uint64_t before = last_change("setting", key, revision - 1);
    if (before != version) {
        world_.violate(std::format("'{}' was changed at revision {} expecting version {}, it was {}", key,
                                   revision, version, before));
    }
}

void Checker::read(const std::string& key, uint64_t version, const core::Bytes& row, uint64_t revision,
                   uint64_t floor) {
    if (revision < floor) {
        world_.violate(
            std::format("a consistent read saw revision {}, {} was known before it", revision, floor));
    }
    const uint64_t last = last_change("setting", key, revision);
    if (version != last || (last != 0 && history_[last - 1].change.row != row)) {
        world_.violate(
            std::format("a read at revision {} found '{}' at version {}, it was last changed at {}", revision,
                        key, version, last));
    }
    known_ = std::max(known_, revision);
}

uint64_t Checker::last_change(const std::string& kind, const std::string& key, uint64_t upto) const {
    const auto found = changes_.find({kind, key});
    if (found == changes_.end()) return 0;
    const auto after = found->second.upper_bound(upto);
    return after == found->second.begin() ? 0 : *std::prev(after);
}

uint64_t Checker::version_of(const std::string& key) const {
    return last_change("setting", key, history_.size());
}

std::vector<uint64_t> Checker::revisions_of(const std::string& kind, uint64_t after, uint64_t upto) const {
    std::vector<uint64_t> revisions;
    for (uint64_t r = after + 1; r <= std::min<uint64_t>(upto, history_.size()); ++r) {
        if (kind.empty() || history_[r - 1].change.kind == kind) revisions.push_back(r);
    }
    return revisions;
}

void Checker::compare_all(std::map<uint64_t, std::unique_ptr<Process>>& processes) {
    std::string first;
    for (auto& [id, process] : processes) {
        if (process->state().revision().number < known_) {
            world_.violate(std::format("n{} ends at revision {}, {} was acknowledged", id,
                                       process->state().revision().number, known_));
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
    // The others are the same to the bit.
    Process& one = *processes.begin()->second;
    auto compared = compare_tables(one);
    if (compared) compared = compare_secrets(one);
    if (!compared)
        world_.violate(
            std::format("n{}: its tables cannot be read: {}", one.id(), compared.error().to_string()));
}

core::Result<void> Checker::compare_tables(Process& process) {
    TRY_ASSIGN(auto view, process.reader().view());
    const auto compare = [&](const std::string& kind, const auto& rows) {
        std::map<std::string, std::pair<core::Bytes, uint64_t>> found;
        for (const auto& row : rows) found[key_of(row.put)] = {row.put.SerializeAsString(), row.version};
        compare_rows(kind, found);
    };
    TRY_ASSIGN(const auto settings, view.settings());
    compare("setting", settings);
    TRY_ASSIGN(const auto users, view.users());
    compare("user", users);
    TRY_ASSIGN(const auto groups, view.groups());
    compare("group", groups);
    TRY_ASSIGN(const auto rules, view.rules());
    compare("rule", rules);
    TRY_ASSIGN(const auto audit, view.audit(0, kAuditRowsMax));
    check_audit(audit);
    return {};
}

/// A table must hold what the changes told by the feed leave of it.
void Checker::compare_rows(const std::string& kind,
                           const std::map<std::string, std::pair<core::Bytes, uint64_t>>& rows) {
    size_t expected = 0;
    for (const auto& [name, revisions] : changes_) {
        if (name.first != kind) continue;
        const uint64_t last = *revisions.rbegin();
        const Change& change = history_[last - 1].change;
        if (change.removed) continue;
        ++expected;
        const auto found = rows.find(name.second);
        if (found != rows.end() && found->second == std::pair(change.row, last)) continue;
        world_.violate(std::format("{} '{}' is not what revision {} made it", kind, name.second, last));
    }
    if (rows.size() != expected)
        world_.violate(
            std::format("there are {} rows of kind {}, the feed leaves {}", rows.size(), kind, expected));
}

core::Result<void> Checker::compare_secrets(Process& process) {
    for (const auto& [name, value] : secrets_) {
        TRY_ASSIGN(const auto found, process.reader().secret(name));
        if (!found || *found != value)
            world_.violate(std::format("secret '{}' does not hold what was acknowledged last", name));
    }
    return {};
}

/// Every acknowledged command has its row, and the times go one way.
void Checker::check_audit(const std::vector<storage::state::AuditRow>& newest_first) {
    std::set<uint64_t> revisions;
    int64_t later = INT64_MAX;
    for (const auto& row : newest_first) {
        if (row.time_ms > later)
            world_.violate(
                std::format("in the audit time runs backwards after revision {}", row.revision.number));
        later = row.time_ms;
        revisions.insert(row.revision.number);
    }
    if (!std::ranges::includes(revisions, commands_))
        world_.violate("an acknowledged command is missing in the audit");
}

}  // namespace smackd::sim
