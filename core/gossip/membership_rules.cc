// What news changes: a higher generation wins, then a higher incarnation, then dead over suspect over alive.
#include <algorithm>

#include "core/gossip/membership.h"
#include "core/planted.h"

namespace smackd::core::gossip {
namespace {

bool same_details(const Member& member, const wire::GossipAlive& alive) {
    return member.name == alive.name() && member.metadata == alive.metadata() &&
           member.holder.value == alive.holder() && std::ranges::equal(member.addresses, alive.addresses());
}

bool same_addresses(const Member& member, const wire::GossipAlive& alive) {
    return std::ranges::equal(member.addresses, alive.addresses());
}

}  // namespace

void Membership::on_alive(const wire::GossipAlive& alive, NodeId sender) {
    const NodeId id{alive.node()};
    if (id == self_.id) return on_alive_of_self(alive);
    if (!admitted(id, alive.generation())) {
        ++counts_.messages_refused;
        return;
    }
    MemberRecord* record = members_.find(id);
    if (record == nullptr) return on_alive_of_new(alive);
    Member& member = record->member;
    if (alive.generation() < member.generation) return;
    if (alive.generation() == member.generation && alive.incarnation() <= member.incarnation) {
        // An accusation can tell of an incarnation before its details come.
        const bool details =
            alive.incarnation() == member.incarnation && record->details_incarnation < member.incarnation;
        const bool twin = alive.incarnation() == member.incarnation && !details && member.live() &&
                          !same_addresses(member, alive);
        if (twin) emit(MemberEventKind::kConflict, member_of(alive));
        if (!details) return;
        const MemberState state = member.state;
        const Instant since = member.since;
        if (member.addresses.empty()) --held_;
        member = member_of(alive);
        if (member.addresses.empty()) ++held_;
        member.state = state;
        member.since = since;
        record->details_incarnation = alive.incarnation();
        emit(MemberEventKind::kUpdated, member);
        return;
    }
    accept_alive(*record, alive, sender);
}

/// Somebody else's idea of us: an earlier life, or a second process with our identity.
void Membership::on_alive_of_self(const wire::GossipAlive& alive) {
    if (leaving_ || alive.generation() != self_.generation || alive.incarnation() < self_.incarnation) return;
    if (alive.incarnation() == self_.incarnation && same_details(self_, alive)) return;
    if (!same_addresses(self_, alive)) emit(MemberEventKind::kConflict, member_of(alive));
    refute(alive.incarnation());
}

void Membership::on_alive_of_new(const wire::GossipAlive& alive) {
    if (members_.size() >= kMembersMax && !make_room()) {
        ++counts_.messages_refused;
        return;
    }
    MemberRecord& record = members_.add(member_of(alive));
    record.member.since = now_;
    ++alive_;
    if (record.member.addresses.empty()) ++held_;
    broadcast(record.member.id, encode_alive(record.member));
    emit(MemberEventKind::kJoined, record.member);
}

void Membership::accept_alive(MemberRecord& record, const wire::GossipAlive& alive, NodeId sender) {
    const MemberState before = record.member.state;
    const Instant since = record.member.since;
    const bool changed = !same_details(record.member, alive);
    set_state(record, MemberState::kAlive);
    if (record.member.addresses.empty()) --held_;
    record.member = member_of(alive);
    if (record.member.addresses.empty()) ++held_;
    record.member.since = before == MemberState::kAlive ? since : now_;
    record.details_incarnation = alive.incarnation();
    broadcast(record.member.id, encode_alive(record.member));
    if (before == MemberState::kSuspect) emit(MemberEventKind::kAlive, record.member);
    if (before == MemberState::kDead || before == MemberState::kLeft)
        emit(MemberEventKind::kJoined, record.member);
    if (before == MemberState::kAlive && changed) emit(MemberEventKind::kUpdated, record.member);
    // Back from the dead and in person: the other side of a partition, which knows of more than itself.
    if (before == MemberState::kDead && sender == record.member.id && now_ >= next_healing_sync_) {
        next_healing_sync_ = now_ + seconds(2);
        want_stream(StreamUse::kSync, record.member);
    }
}

void Membership::on_suspect(const Accusation& accusation) {
    if (accused_self(accusation)) return;
    MemberRecord* record = accused(accusation);
    if (record == nullptr) return;
    if (record->suspicion) {
        if (record->suspicion->confirm(accusation.from)) {
            broadcast(record->member.id, encode_suspect(record->member, accusation.from));
        }
        return;
    }
    if (record->member.state != MemberState::kAlive) return;
    begin_suspicion(*record, accusation);
    if (heard_lately(*record)) send(*record, {});  // its stream to us works: let it hear and refute
}

void Membership::on_dead(const Accusation& accusation) {
    if (accused_self(accusation)) return;
    MemberRecord* record = accused(accusation);
    if (record == nullptr || !record->member.live()) return;
    if (heard_lately(*record)) return on_suspect(accusation);
    become_dead(*record, accusation.incarnation, accusation.from);
}

void Membership::on_left(const wire::GossipLeft& left) {
    const NodeId id{left.node()};
    if (id == self_.id) {
        accused_self({id, left.generation(), left.incarnation(), id});
        return;
    }
    MemberRecord* record = members_.find(id);
    if (record == nullptr || left.generation() != record->member.generation) return;
    if (left.incarnation() < record->member.incarnation || record->member.state == MemberState::kLeft) return;
    record->member.incarnation = left.incarnation();
    set_state(*record, MemberState::kLeft);
    broadcast(id, encode_left(record->member));
    emit(MemberEventKind::kLeft, record->member);
}

/// True when it was about this node. An accusation of what we were earlier is answered, not refuted again.
bool Membership::accused_self(const Accusation& accusation) {
    if (accusation.node != self_.id) return false;
    if (leaving_ || accusation.generation != self_.generation) return true;
    if (accusation.incarnation >= self_.incarnation) refute(accusation.incarnation);
    if (!SMACK_BUG("gossip_no_refutation")) owe(self_.id);
    return true;
}

/// Whom the accusation is about, unless it is old; then the sender is owed what we know.
MemberRecord* Membership::accused(const Accusation& accusation) {
    MemberRecord* record = members_.find(accusation.node);
    if (record == nullptr || accusation.generation != record->member.generation) return nullptr;
    const bool old = accusation.incarnation < record->member.incarnation;
    if (old || !record->member.live()) owe(record->member.id);
    if (old && !SMACK_BUG("gossip_incarnation_ignored")) return nullptr;
    return record;
}

bool Membership::heard_lately(const MemberRecord& record) const {
    return now_ - record.heard <= 2 * parameters_.probe_interval;
}

void Membership::begin_suspicion(MemberRecord& record, const Accusation& accusation) {
    ++counts_.suspicions;
    record.member.incarnation = accusation.incarnation;
    set_state(record, MemberState::kSuspect);
    // Only the holder of a stream can accuse the member behind it; nobody could confirm.
    const bool confirmable = !record.member.addresses.empty() && alive_ >= parameters_.confirmations;
    const Duration min = suspicion_min(parameters_, live());
    record.suspicion.emplace(accusation.from,
                             Suspicion::Limits{.min = min,
                                               .max = min * parameters_.suspicion_max_factor,
                                               .confirmations = confirmable ? parameters_.confirmations : 0},
                             now_);
    broadcast(record.member.id, encode_suspect(record.member, accusation.from));
    emit(MemberEventKind::kSuspected, record.member);
    if (alive_ < parameters_.confirmations) {
        for (const NodeId id : suspects_) members_.find(id)->suspicion->expect(0);
    }
    // In a small cluster the next turn of others may be long off, so as many as are needed look at once:
    // about twice the number of confirmations, however large the cluster is.
    const bool ours = accusation.from == self_.id;
    const bool volunteer = alive_ > 0 && random_.below(alive_) < 2 * parameters_.confirmations;
    if (!ours && volunteer && !leaving_ && !probing(record.member.id)) start_probe(record);
}

void Membership::become_dead(MemberRecord& record, uint64_t incarnation, NodeId from) {
    record.member.incarnation = incarnation;
    set_state(record, MemberState::kDead);
    const NodeId id = record.member.id;
    std::erase_if(probes_, [id](const Probe& probe) { return probe.target == id; });
    broadcast(id, encode_dead(record.member, from));
    emit(MemberEventKind::kUnreachable, record.member);
}

void Membership::run_suspicions() {
    const std::vector<NodeId> ids = suspects_;
    for (const NodeId id : ids) {
        MemberRecord& record = *members_.find(id);
        Suspicion& suspicion = *record.suspicion;
        if (now_ < suspicion.next_check(parameters_.probe_timeout)) continue;
        if (heard_lately(record)) {
            suspicion.extend(parameters_.probe_interval);
            send(record, {});
            continue;
        }
        if (suspicion.checks_left()) {
            suspicion.checked(now_, parameters_.probe_timeout);
            last_check(record);
        } else {
            become_dead(record, record.member.incarnation, self_.id);
        }
    }
}

/// The last word is the suspect's, and of those who have heard it: its refutation may have passed us by.
void Membership::last_check(const MemberRecord& record) {
    send(record, encode_ping(++sequence_, record.member.id), kLastChecks);
    if (record.member.addresses.empty()) return;
    const Bytes request = encode_ping_request(sequence_, record.member) +
                          encode_suspect(record.member, record.suspicion->accuser());
    const auto helper = [&](const MemberRecord& other) {
        return other.member.state == MemberState::kAlive && !other.member.addresses.empty();
    };
    for (const MemberRecord* other : members_.pick(parameters_.indirect_probes, helper))
        send(*other, request);
}

void Membership::refute(uint64_t incarnation) {
    if (SMACK_BUG("gossip_no_refutation")) return;
    ++counts_.refutations;
    self_.incarnation = std::max(self_.incarnation, incarnation) + 1;
    awareness_.apply(1);
    broadcast(self_.id, encode_alive(self_));
}

/// Keeps the counts; the end of a suspicion is part of leaving kSuspect.
void Membership::set_state(MemberRecord& record, MemberState state) {
    const MemberState before = record.member.state;
    if (before == MemberState::kAlive) --alive_;
    if (before == MemberState::kDead) --dead_;
    if (before == MemberState::kSuspect) {
        std::erase(suspects_, record.member.id);
        record.suspicion.reset();
    }
    if (state == MemberState::kAlive) ++alive_;
    if (state == MemberState::kDead) ++dead_;
    if (state == MemberState::kSuspect) suspects_.push_back(record.member.id);
    record.member.state = state;
    record.member.since = now_;
}

/// Forgets the member that has been gone for longest. False when all are here.
bool Membership::make_room() {
    const MemberRecord* oldest = nullptr;
    for (const MemberRecord& record : members_.records()) {
        if (record.member.live()) continue;
        if (oldest == nullptr || record.member.since < oldest->member.since) oldest = &record;
    }
    if (oldest == nullptr) return false;
    remove(oldest->member.id);
    return true;
}

}  // namespace smackd::core::gossip
