#include "tests/sim/cluster/checker.h"

#include <algorithm>
#include <format>

#include "core/wire/feed.pb.h"
#include "tests/sim/cluster/machine.h"
#include "tests/sim/cluster/node.h"
#include "tests/sim/cluster/site.h"

namespace smackd::sim::cluster {

using core::Result;
using Kind = core::cluster::MembershipChange::Kind;

// ---- histories ----

void Checker::look(Machine& machine) {
    if (!machine.running()) return;
    Follower& follower = followers_[machine.installation->id];
    Process& process = machine.node->process();
    const core::Revision revision = process.state().revision();
    if (revision == follower.looked && follower.watch) return;
    const uint64_t lineage = machine.node->status().recoveries;
    if (lineage < follower.lineage) {
        site_.world.violate(
            std::format("n{} goes back from {} recoveries to {}", process.id(), follower.lineage, lineage));
    }
    follower.lineage = lineage;
    if (machine.left_behind && revision.epoch >= epoch()) {
        site_.world.violate(
            std::format("n{} was left behind and is in epoch {} now", process.id(), revision.epoch));
    }
    follow_feed(machine, follower);
    follower.looked = revision;
    follower.shown.emplace_back(site_.world.now(), revision.number);
}

Result<void> Checker::begin_anew(Machine& machine, Follower& follower) {
    Process& process = machine.node->process();
    TRY_ASSIGN(auto view, process.reader().view());
    TRY_ASSIGN(follower.registry, Model::read(view));
    follower.registry_at = site_.world.now();
    follower.seen = view.point().revision;
    TRY_ASSIGN(follower.watch, process.hub().watch(follower.seen, storage::feed::Filter{}, [] {}));
    return {};
}

void Checker::follow_feed(Machine& machine, Follower& follower) {
    Process& process = machine.node->process();
    const core::Revision head = process.hub().head();
    if (!follower.watch) {
        // After a power failure the state may be behind what it showed.
        if (head < follower.seen) return;
        auto watch = process.hub().watch(follower.seen, storage::feed::Filter{}, [] {});
        if (watch) follower.watch = std::move(*watch);
        follower.registry_at = site_.world.now();  // the server has come there again
    }
    const uint64_t lineage = machine.node->status().recoveries;
    while (follower.watch) {
        auto records = follower.watch->take(256);
        if (!records) {
            follower.watch.reset();
            break;
        }
        if (records->empty()) return;
        for (const auto& record : *records) {
            if (record->revision.number != follower.seen.number + 1) {
                return site_.world.violate(std::format("n{}: the feed goes from revision {} to {}",
                                                       process.id(), follower.seen.number,
                                                       record->revision.number));
            }
            follower.seen = record->revision;
            learn(machine, lineage, *record);
        }
    }
    if (auto begun = begin_anew(machine, follower); !begun)
        site_.world.trace(std::format("n{}: no watch: {}", process.id(), begun.error().message));
}

void Checker::learn(Machine& machine, uint64_t lineage, const storage::feed::Record& record) {
    const uint64_t node = machine.installation->id;
    const uint64_t revision = record.revision.number;
    wire::FeedChange change;
    if (!change.ParseFromString(record.encoded))
        return site_.world.violate(std::format("n{}: revision {} cannot be read", node, revision));
    Follower& follower = followers_[node];
    if (record.kind == "machine" || record.kind == "node") {
        follower.registry.follow(record.kind, record.key, change.row());
        follower.registry_at = site_.world.now();
        note_refused(machine, follower);
    }
    History& history = histories_[lineage];
    Shown shown{record.kind, record.key, change.row(), record.encoded};
    const auto [known, first] = history.changes.emplace(revision, std::move(shown));
    if (!first) {
        if (known->second.encoded == record.encoded) return;
        return site_.world.violate(
            std::format("revision {} is {} '{}' on n{}, elsewhere it is {} '{}' or "
                        "differs in content or time",
                        revision, record.kind, record.key, node, known->second.kind, known->second.key));
    }
    if (revision <= history.last) return;  // of before a recovery, read again from its log
    site_.world.trace(std::format("n{} first to show {}.{}: {} {}{}", node, record.revision.epoch, revision,
                                  record.kind, record.key, record.removed ? " removed" : ""));
    check_first(lineage, history, record.revision.epoch, known->second);
    history.last = revision;
    history.head.follow(record.kind, record.key, change.row());
    for (const auto& [id, given] : given_) {
        if (!history.head.refuses(id)) {
            history.refused.erase(id);
        } else {
            history.refused.emplace(id, site_.world.now());
        }
    }
    if (record.kind == "node" && record.removed)
        history.removed_nodes.insert(std::strtoull(record.key.c_str(), nullptr, 10));
}

void Checker::check_first(uint64_t lineage, const History& history, uint64_t epoch, const Shown& shown) {
    if (epoch != lineage + 1) {
        site_.world.violate(std::format("{} '{}' was shown in epoch {} after {} recoveries", shown.kind,
                                        shown.key, epoch, lineage));
    }
    wire::RaiseFeatureLevel level;
    if (shown.kind == "level" && level.ParseFromString(shown.row)) feature_level_ = level.level();
    wire::PutNode put;
    if (shown.kind == "node" && !shown.row.empty() && put.ParseFromString(shown.row))
        check_node(history, epoch, put);
}

/// An id is given once, to one machine and key, and a machine has one node; only who may join gets it.
void Checker::check_node(const History& history, uint64_t epoch, const wire::PutNode& put) {
    const uint64_t id = put.node_id();
    const auto violate = [&](const std::string& what) {
        site_.world.violate(std::format("node {} of machine {}: {}", id, put.machine(), what));
    };
    const auto [given, first] = given_.emplace(id, std::pair(put.machine(), put.public_key_sha256()));
    if (!first && given->second != std::pair(put.machine(), put.public_key_sha256()))
        violate("the id was given before, to machine " + given->second.first + " or to another key");
    if (history.removed_nodes.contains(id) && !history.head.nodes.contains(id))
        violate("the id was removed and is given again");
    const uint64_t other = history.head.node_of(put.machine());
    if (other != 0 && other != id) violate(std::format("it has node {} already", other));
    const auto machine = history.head.machines.find(put.machine());
    if (machine == history.head.machines.end()) return violate("it is not in the registry");
    if (!machine->second.allowed) violate("it is suspended");
    const bool bootstrapped = put.public_key_sha256().empty();
    if (bootstrapped) return;
    if (machine->second.generation != put.generation()) violate("it was admitted with an old generation");
    if (put.epoch() != epoch)
        violate(std::format("it was admitted in epoch {} as of {}", epoch, put.epoch()));
}

void Checker::forget_life(Machine& machine) {
    Follower& follower = followers_[machine.installation->id];
    follower.watch.reset();
    follower.looked = {};
    follower.refused.clear();
    follower.changing = false;
    follower.down_at = site_.world.now();
}

void Checker::forget_disk(Machine& machine) {
    followers_.erase(machine.installation->id);
}

// ---- who speaks, votes and leads ----

/// As long as the others could not agree without them, refused voters are heard.
std::set<uint64_t> Checker::needed_voters(const Machine& by, const Follower& follower) {
    std::set<uint64_t> refused;
    size_t voters = 0;
    for (const storage::Server& server : by.node->status().servers) {
        if (server.role != storage::ServerRole::kVoter) continue;
        ++voters;
        if (follower.registry.refuses(server.id.value)) refused.insert(server.id.value);
    }
    return voters - refused.size() < voters / 2 + 1 ? refused : std::set<uint64_t>();
}

void Checker::tick() {
    for (const auto& machine : site_.machines) {
        if (machine->running()) note_refused(*machine, followers_[machine->installation->id]);
    }
}

/// Also at each change of its registry: of two in one moment the first may have needed a voter.
void Checker::note_refused(const Machine& machine, Follower& follower) {
    const auto before = std::exchange(follower.refused, {});
    if (!follower.watch || follower.registry.nodes.empty()) return;
    const std::set<uint64_t> needed = needed_voters(machine, follower);
    for (const auto& [node, given] : given_) {
        if (!follower.registry.refuses(node) || needed.contains(node)) continue;
        const auto since = before.find(node);
        follower.refused[node] = since == before.end() ? site_.world.now() : since->second;
    }
}

/// A server whose own configuration is of before goes by what it was told, in which the leader's are let in.
bool Checker::leader_needs(uint64_t node, const Model& registry) const {
    return std::ranges::any_of(site_.machines, [&](const auto& machine) {
        if (!machine->running()) return false;
        const storage::ReplicaStatus status = machine->node->status();
        if (status.role != storage::ReplicaRole::kLeader) return false;
        size_t voters = 0;
        size_t let_in = 0;
        bool votes = false;
        for (const storage::Server& server : status.servers) {
            if (server.role != storage::ServerRole::kVoter) continue;
            ++voters;
            let_in += registry.refuses(server.id.value) ? 0 : 1;
            votes = votes || server.id.value == node;
        }
        return votes && let_in < voters / 2 + 1;
    });
}

bool Checker::long_refused(uint64_t node, const Machine& by) const {
    const auto follower = followers_.find(by.installation->id);
    if (follower == followers_.end()) return false;
    // Its own state may be old: what counts in the end is what the cluster has decided.
    const History& history = histories_.at(follower->second.lineage);
    const auto decided = history.refused.find(node);
    if (decided == history.refused.end() || site_.world.now() - decided->second < kGrace) return false;
    if (!follower->second.registry.refuses(node)) return false;
    if (leader_needs(node, history.head)) return false;
    const auto since = follower->second.refused.find(node);
    return since != follower->second.refused.end() && site_.world.now() - since->second >= kGrace;
}

void Checker::delivered(Machine& from, Machine& to) {
    if (!long_refused(from.installation->id, to)) return;
    site_.world.violate(std::format("n{} heard n{}, which the registry has refused for long",
                                    to.installation->id, from.installation->id));
}

void Checker::leads(uint64_t node, uint64_t term) {
    Follower& follower = followers_[node];
    if (follower.claimed_term == term) return;
    follower.claimed_term = term;
    Machine* machine = site_.running(node);
    if (machine == nullptr) return;
    const storage::ReplicaStatus status = machine->node->status();
    const auto [known, first] = leaders_.emplace(std::pair(status.epoch, term), node);
    if (known->second != node)
        site_.world.violate(std::format("n{} and n{} both lead term {}", known->second, node, term));
    if (!first) return;
    site_.counts.add(Event::kLeadership);
    size_t voters = 0;
    size_t against = 0;
    for (const storage::Server& server : status.servers) {
        if (server.role != storage::ServerRole::kVoter) continue;
        ++voters;
        Machine* voter = site_.running(server.id.value);
        if (server.id.value != node && voter != nullptr && long_refused(node, *voter)) ++against;
    }
    if (voters - against < voters / 2 + 1)
        site_.world.violate(std::format("n{} leads term {}, {} of {} voters had refused it for long", node,
                                        term, against, voters));
}

void Checker::observe(Machine& machine, const storage::ReplicaStatus& status) {
    Follower& follower = followers_[machine.installation->id];
    for (const storage::Alarm& alarm : status.alarms) {
        const bool newer = alarm.name == "apply_stopped" && alarm.message.contains("install a newer");
        if (newer && !std::exchange(follower.stopped, true))
            site_.note(Event::kStoppedByNewerLevel, machine.name);
    }
}

void Checker::changes(Node& leader, const core::cluster::MembershipChange& change) {
    const storage::ReplicaStatus status = leader.status();
    const Model& registry = followers_[leader.id()].registry;
    // What it decides by may be a moment old.
    Follower& follower = followers_[leader.id()];
    const bool settled = follower.watch && site_.world.now() - follower.registry_at >= kGrace;
    const auto violate = [&](const std::string& what) {
        site_.world.violate(std::format("n{} is to {} n{}: {}", leader.id(),
                                        core::cluster::membership_change_name(change.kind), change.node.value,
                                        what));
    };
    if (std::exchange(follower.changing, true)) violate("another change of its own is under way");
    if (!status.may_plan && status.role == storage::ReplicaRole::kLeader)
        violate("it has no state of its own term yet");
    const auto silent = [&](uint64_t node) {
        return std::ranges::contains(status.silent, core::NodeId{node});
    };
    size_t voters = 0;
    size_t heard = 0;
    size_t staying = 0;
    std::map<std::string, size_t> by_zone;
    for (const storage::Server& server : status.servers) {
        if (registry.refuses(server.id.value)) continue;
        ++staying;
        if (server.role != storage::ServerRole::kVoter) continue;
        ++voters;
        ++by_zone[registry.zone_of(server.id.value)];
        heard += silent(server.id.value) ? 0 : 1;
    }
    size_t crowded = 0;
    for (const auto& [name, count] : by_zone) crowded = std::max(crowded, count);
    const auto row = registry.nodes.find(change.node.value);
    const Machine* machine = site_.installed(change.node.value);
    switch (change.kind) {
        case Kind::kAdd:
            if (settled && registry.refuses(change.node.value)) violate("the registry refuses it");
            if (row == registry.nodes.end()) return;
            if (std::max<uint64_t>(row->second.epoch, 1) != leader.process().state().revision().epoch)
                return violate("it is of another epoch");
            if (machine != nullptr && machine->left_behind && status.recoveries + 1 == epoch())
                violate("it was left behind by a recovery");
            return;
        case Kind::kPromote:
            if (settled && registry.refuses(change.node.value)) violate("the registry refuses it");
            if (heard < voters) site_.counts.add(Event::kVoterReplaced);
            if (heard < core::cluster::voters_wanted(staying)) return;
            site_.counts.add(Event::kVoterMoved);
            if (settled && by_zone[registry.zone_of(change.node.value)] + 2 > crowded)
                violate("there are voters enough");
            return;
        case Kind::kFill:
            return;
        case Kind::kDemote:
            if (settled && (voters <= core::cluster::voters_wanted(staying) || voters <= 3))
                violate("too few voters would be left");
            if (settled && !silent(change.node.value) && heard < voters)
                violate("a voter that is not heard would stay");
            return;
        case Kind::kRemove:
            if (settled && !registry.refuses(change.node.value)) violate("the registry lets it in");
            return;
        case Kind::kHandOver:
            if (settled && !registry.refuses(leader.id())) violate("the registry lets it in");
            return;
    }
}

void Checker::changed(Node& leader) {
    followers_[leader.id()].changing = false;
}

// ---- joins ----

void Checker::granted(const JoinWish& wish, const JoinGrant& grant) {
    if (grant.epoch != epoch()) return;  // of servers that were left behind
    if (wish.request.epoch() != 0 && wish.request.epoch() != grant.epoch) {
        site_.world.violate(std::format("machine {} was let in with data of epoch {} in epoch {}",
                                        wish.claim.machine, wish.request.epoch(), grant.epoch));
    }
    if (wish.request.feature_level() < storage::state::kFeatureLevelMax)
        site_.world.violate(std::format("machine {} was let in with an old version", wish.claim.machine));
    const auto given = given_.find(grant.id);
    const auto expected = std::pair(wish.claim.machine, wish.claim.key_sha256);
    if (given == given_.end() || given->second != expected)
        site_.world.violate(std::format("machine {} was answered node {}, which is not its own",
                                        wish.claim.machine, grant.id));
}

// ---- writes ----

void Checker::acknowledged(const std::string& key, const std::string& value,
                           const wire::CommandResult& result) {
    if (result.epoch() != epoch()) return site_.counts.add(Event::kWrittenToLeftBehind);
    site_.counts.add(Event::kWritten);
    const History& history = histories_.at(lineage_);
    const auto shown = history.changes.find(result.revision());
    wire::PutSetting put;
    const bool there = shown != history.changes.end() && shown->second.key == key &&
                       put.ParseFromString(shown->second.row) && put.value() == value;
    if (!there) {
        site_.world.violate(
            std::format("'{}' was acknowledged as revision {}, which is something else or "
                        "nowhere",
                        key, result.revision()));
    }
    acknowledged_[key] = {value, result.revision()};
}

Result<std::map<std::string, std::string>> Checker::settings_of(Machine& machine) {
    std::map<std::string, std::string> settings;
    TRY_ASSIGN(auto view, machine.node->process().reader().view());
    TRY_ASSIGN(const auto rows, view.settings());
    for (const auto& row : rows) settings[row.put.name()] = row.put.value();
    return settings;
}

void Checker::recovered(Machine& machine, bool all_disks) {
    Follower& follower = followers_[machine.installation->id];
    const auto settings = settings_of(machine);
    if (!settings) return site_.world.violate("recovered: " + settings.error().message);
    uint64_t sure = 0;
    for (const auto& [at, revision] : follower.shown) {
        if (follower.down_at - at >= kSettled) sure = std::max(sure, revision);
    }
    uint64_t lost = 0;
    for (auto write = acknowledged_.begin(); write != acknowledged_.end();) {
        const auto found = settings->find(write->first);
        if (found != settings->end() && found->second == write->second.first) {
            ++write;
            continue;
        }
        if (all_disks || write->second.second <= sure) {
            return site_.world.violate(std::format(
                "recover on n{} loses '{}', revision {}, {}", machine.installation->id, write->first,
                write->second.second, all_disks ? "the most advanced of all voters" : "which it had"));
        }
        ++lost;
        write = acknowledged_.erase(write);
    }
    site_.counts.add(Event::kLostByRecover, lost);
    ++lineage_;
    History& history = histories_[lineage_];
    history.head = follower.registry;
    history.last = follower.seen.number;
    history.removed_nodes = histories_[lineage_ - 1].removed_nodes;
    follower.shown.clear();
    site_.world.trace(std::format("epoch {} begins at revision {} on n{}, {} acknowledged writes are lost",
                                  epoch(), follower.seen.number, machine.installation->id, lost));
}

void Checker::compare_all(const std::vector<Machine*>& members) {
    std::string first;
    for (Machine* machine : members) {
        auto digest = machine->node->process().state().digest();
        if (!digest) return site_.world.violate(machine->name + ": no digest: " + digest.error().message);
        if (first.empty()) first = *digest;
        if (*digest != first)
            site_.world.violate(machine->name + " ends with another state than " + members.front()->name);
    }
    const auto settings = settings_of(*members.front());
    if (!settings) return site_.world.violate("at the end: " + settings.error().message);
    for (const auto& [key, write] : acknowledged_) {
        const auto found = settings->find(key);
        if (found != settings->end() && found->second == write.first) continue;
        site_.world.violate(
            std::format("'{}' was acknowledged as revision {} and is gone", key, write.second));
    }
    if (followers_[members.front()->installation->id].registry.nodes != registry().nodes)
        site_.world.violate("the nodes are not what the feed says");
}

}  // namespace smackd::sim::cluster
