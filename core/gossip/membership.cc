#include "core/gossip/membership.h"

#include <algorithm>
#include <ranges>

#include "core/assert.h"
#include "core/planted.h"

namespace smackd::core::gossip {
namespace {

constexpr Duration kStreamWatch = milliseconds(250);
constexpr Duration kLonely = seconds(1);  // between attempts of a node that has nobody
constexpr Duration kForgetting = seconds(60);
constexpr size_t kTriedAtOnce = 3;  // seeds, and dead members, while nobody is here

/// In [duration/2, duration * 3/2): members that started together drift apart.
Duration jittered(Random& random, Duration duration) {
    const auto count = static_cast<uint64_t>(duration.count());
    return Duration(static_cast<int64_t>(count / 2 + random.below(count)));
}

Duration up_to(Random& random, Duration duration) {
    return Duration(static_cast<int64_t>(random.below(static_cast<uint64_t>(duration.count()))));
}

}  // namespace

Membership::Membership(Identity self, Parameters parameters, Random& random, Instant now)
    : parameters_(parameters), random_(random), members_(random), now_(now) {
    SMACK_ASSERT(check(self).has_value());
    self_ = {.id = self.id,
             .generation = self.generation,
             .incarnation = self.incarnation,
             .name = std::move(self.name),
             .addresses = std::move(self.addresses),
             .metadata = std::move(self.metadata),
             .holder = {},
             .state = MemberState::kAlive,
             .since = now};
    head_ = encode_head(self_.id, self_.generation);
    sequence_ = static_cast<uint32_t>(random_.next());
    next_probe_ = now + up_to(random_, parameters_.probe_interval);
    next_gossip_ = now;
    next_push_pull_ = now + up_to(random_, parameters_.push_pull_interval);
    next_reconnect_ = now + jittered(random_, kLonely);
    next_watch_ = now + kStreamWatch;
    next_forgetting_ = now + kForgetting;
    next_healing_sync_ = now;
    finish();
}

Result<void> Membership::check(const Identity& self) {
    wire::GossipAlive alive;
    const Member member{.id = self.id,
                        .generation = self.generation,
                        .incarnation = self.incarnation,
                        .name = self.name,
                        .addresses = self.addresses,
                        .metadata = self.metadata,
                        .holder = {},
                        .since = {}};
    fill_alive(member, alive);
    return check_alive(alive);
}

// ---- inputs

Result<void> Membership::on_packet(std::string_view from, BytesView bytes, Instant now) {
    begin(now);
    const auto refuse = [this](Result<void>&& why) {
        ++counts_.packets_refused;
        finish();
        return pass(std::move(why));
    };
    if (auto read = decode_packet(bytes, packet_); !read) return refuse(std::move(read));
    const NodeId sender{packet_.sender()};
    if (auto known = check_sender(sender, packet_.generation()); !known) return refuse(std::move(known));
    sender_ = sender;
    // News first: the answer to a ping then carries the refutation of what came along with it.
    for (const wire::GossipMessage& message : packet_.messages()) {
        if (message.has_alive()) on_alive(message.alive(), sender);
        if (message.has_left()) on_left(message.left());
        if (message.has_suspect()) {
            const auto& suspect = message.suspect();
            on_suspect({NodeId{suspect.node()}, suspect.generation(), suspect.incarnation(),
                        NodeId{suspect.from()}});
        }
        if (message.has_dead()) {
            const auto& dead = message.dead();
            on_dead({NodeId{dead.node()}, dead.generation(), dead.incarnation(), NodeId{dead.from()}});
        }
    }
    for (const wire::GossipMessage& message : packet_.messages()) {
        if (message.has_ping()) on_ping(sender, from, message.ping());
        if (message.has_ping_request()) on_ping_request(sender, from, message.ping_request());
        if (message.has_ack()) on_ack(sender, message.ack());
        if (message.has_nack()) on_nack(message.nack().sequence());
    }
    // Nothing was asked that needed an answer, but who asks for help against the living is told at once.
    const bool asked = std::ranges::any_of(packet_.messages(), &wire::GossipMessage::has_ping_request);
    if (!owed_.empty() && asked) send_to(sender, from, {});
    finish();
    return {};
}

void Membership::on_timer(Instant now) {
    begin(now);
    run_probes();
    run_relays();
    run_suspicions();
    if (now_ >= next_probe_) probe_next();
    if (held_ > 0 && now_ >= next_watch_) watch_streams();
    if (now_ >= next_forgetting_) forget_old();
    if (now_ >= next_reconnect_) reconnect();
    if (now_ >= next_push_pull_) {
        next_push_pull_ = now_ + push_pull_scaled(parameters_.push_pull_interval, live());
        want_sync_with_anyone();
    }
    if (now_ >= next_gossip_) gossip();
    finish();
}

void Membership::join(std::vector<std::string> seeds, Instant now) {
    begin(now);
    if (seeds.size() > kSeedsMax) seeds.resize(kSeedsMax);
    seeds_ = std::move(seeds);
    for (const std::string& seed : seeds_) effects_.streams.push_back({StreamUse::kSync, {}, seed});
    finish();
}

void Membership::leave(Instant now) {
    begin(now);
    if (!leaving_) {
        leaving_ = true;
        self_.state = MemberState::kLeft;
        self_.since = now;
        broadcast(self_.id, encode_left(self_));
    }
    finish();
}

Result<void> Membership::update_metadata(Bytes metadata, Instant now) {
    if (metadata.size() > kMetadataBytesMax) {
        return fail(Errc::kInvalid, "metadata has {} bytes, above the limit of {}", metadata.size(),
                    kMetadataBytesMax);
    }
    begin(now);
    self_.metadata = std::move(metadata);
    announce_self();
    finish();
    return {};
}

void Membership::set_holder(NodeId holder, Instant now) {
    begin(now);
    self_.holder = holder;
    announce_self();
    const Member* member = find(holder);
    effects_.streams.push_back({StreamUse::kSync, holder, ""});
    if (member != nullptr) gossip();
    finish();
}

void Membership::on_direct_evidence(NodeId node, bool alive, Instant now) {
    begin(now);
    MemberRecord* record = members_.find(node);
    if (record != nullptr && record->member.live() && alive) {
        record->heard = now;
        std::erase_if(probes_, [node](const Probe& probe) { return probe.target == node; });
        // It lives, so it must refute; it may not have heard what is said about it.
        if (record->suspicion) send(*record, {});
    } else if (record != nullptr && record->member.live()) {
        record->heard = Instant{Duration::min() / 2};
        const bool ours = record->member.addresses.empty() && record->member.holder == self_.id;
        if (ours) {
            on_suspect({node, record->member.generation, record->member.incarnation, self_.id});
        } else if (!probing(node)) {
            start_probe(*record);
        }
    }
    finish();
}

void Membership::set_allowed(std::unordered_map<NodeId, uint64_t> generations, Instant now) {
    begin(now);
    bool grown = false;
    for (const auto& [id, generation] : generations) grown = grown || !admitted(id, generation);
    allowed_ = std::move(generations);
    std::vector<NodeId> gone;
    for (const MemberRecord& record : members_.records()) {
        if (!admitted(record.member.id, record.member.generation)) gone.push_back(record.member.id);
    }
    for (const NodeId id : gone) {
        emit(MemberEventKind::kRemoved, members_.find(id)->member);
        remove(id);
    }
    // News of the new ones may have been refused a moment ago.
    if (grown) want_sync_with_anyone();
    finish();
}

// ---- around each input

void Membership::begin(Instant now) {
    notice_pause(now);
    now_ = now;
    sender_ = {};
    owed_.clear();
}

/// A timer that comes late means that this node stood still: its inbox may be full of answers it has not
/// read. Whoever waits for a verdict gets that time back, else we would accuse all those who answered while
/// we slept.
void Membership::notice_pause(Instant now) {
    const Duration late = now - deadline_;
    if (late <= kLateTolerated || SMACK_BUG("gossip_judge_after_pause")) return;
    ++counts_.pauses;
    if (late > parameters_.probe_timeout) awareness_.apply(1);
    for (Probe& probe : probes_) {
        probe.next_round = probe.next_round + late;
        probe.deadline = probe.deadline + late;
    }
    for (Relay& relay : relays_) relay.nack_at = relay.nack_at + late;
    for (const NodeId id : suspects_) members_.find(id)->suspicion->extend(late);
    for (MemberRecord& record : members_.records()) record.heard = record.heard + late;
    for (Instant* timer :
         {&next_probe_, &next_gossip_, &next_push_pull_, &next_reconnect_, &next_watch_, &next_forgetting_}) {
        *timer = std::max(*timer, now);
    }
}

void Membership::finish() {
    Instant first = std::min({next_probe_, next_push_pull_, next_reconnect_, next_forgetting_});
    if (held_ > 0) first = std::min(first, next_watch_);
    if (!broadcasts_.empty()) first = std::min(first, next_gossip_);
    for (const Probe& probe : probes_) first = std::min({first, probe.next_round, probe.deadline});
    for (const Relay& relay : relays_) first = std::min(first, relay.nack_at);
    for (const NodeId id : suspects_) {
        const Suspicion& suspicion = *members_.find(id)->suspicion;
        first = std::min(first, suspicion.next_check(parameters_.probe_timeout));
    }
    deadline_ = std::max(first, now_);  // what has just become due is not late
}

void Membership::take(Effects& into) {
    into.packets.clear();
    into.streams.clear();
    into.events.clear();
    std::swap(into, effects_);
}

// ---- rare work

bool Membership::admitted(NodeId id, uint64_t generation) const {
    if (!allowed_) return true;
    const auto at = allowed_->find(id);
    return at != allowed_->end() && generation >= at->second;
}

Result<void> Membership::check_sender(NodeId sender, uint64_t generation) const {
    if (sender == self_.id) {
        return fail(Errc::kDenied, "a packet claims to be from node {}, which is this one", sender.value);
    }
    if (!admitted(sender, generation)) {
        return fail(Errc::kDenied, "node {} of generation {} is not in the machine registry", sender.value,
                    generation);
    }
    return {};
}

/// Members that live by a stream are watched by their holder alone; when that one is gone, by everybody,
/// until a stream to another one is announced.
void Membership::watch_streams() {
    next_watch_ = now_ + kStreamWatch;
    std::vector<Accusation> silent;
    for (const MemberRecord& record : members_.records()) {
        const Member& member = record.member;
        if (!member.addresses.empty() || member.state != MemberState::kAlive) continue;
        const MemberRecord* holder = members_.find(member.holder);
        const bool ours = member.holder == self_.id;
        const Instant last = std::max(record.heard, member.since);
        const bool quiet = ours && now_ - last > parameters_.stream_silence;
        const bool orphan = !ours && (holder == nullptr || !holder->member.live()) &&
                            now_ - member.since > parameters_.stream_silence;
        if (quiet || orphan) silent.push_back({member.id, member.generation, member.incarnation, self_.id});
    }
    for (const Accusation& accusation : silent) on_suspect(accusation);
}

void Membership::forget_old() {
    next_forgetting_ = now_ + kForgetting;
    std::vector<NodeId> old;
    for (const MemberRecord& record : members_.records()) {
        if (!record.member.live() && now_ - record.member.since > parameters_.tombstone)
            old.push_back(record.member.id);
    }
    for (const NodeId id : old) remove(id);
}

/// The dead may be back, or it was a partition; who finds himself alone asks everybody he has ever known.
void Membership::reconnect() {
    const bool alone = live() == 1;
    next_reconnect_ = now_ + jittered(random_, alone ? kLonely : parameters_.reconnect_interval);
    if (leaving_ || SMACK_BUG("gossip_forget_dead")) return;
    if (alone && !seeds_.empty()) {
        for (size_t i = 0; i < std::min(kTriedAtOnce, seeds_.size()); ++i) {
            effects_.streams.push_back({StreamUse::kSync, {}, seeds_[random_.below(seeds_.size())]});
        }
    }
    if (dead_ == 0) return;
    const auto dead = [this](const MemberRecord& record) {
        return record.member.state == MemberState::kDead && route(record.member);
    };
    for (MemberRecord* record : members_.pick(alone ? kTriedAtOnce : 1, dead)) {
        send(*record, encode_ping(++sequence_, record->member.id));
        if (alone) want_stream(StreamUse::kSync, record->member);
    }
}

void Membership::remove(NodeId id) {
    MemberRecord* record = members_.find(id);
    if (record == nullptr) return;
    set_state(*record, MemberState::kLeft);
    if (record->member.addresses.empty()) --held_;
    std::erase_if(probes_, [id](const Probe& probe) { return probe.target == id; });
    std::erase_if(relays_, [id](const Relay& relay) { return relay.target == id || relay.asker == id; });
    broadcasts_.remove(id);
    members_.remove(id);
}

void Membership::want_stream(StreamUse use, const Member& member) {
    const auto address = route(member, static_cast<uint32_t>(random_.below(kAddressesMax)));
    if (!address) return;
    if (effects_.streams.size() >= kEffectsMax) {
        ++counts_.effects_dropped;
        return;
    }
    effects_.streams.push_back({use, member.id, std::string(*address)});
}

void Membership::want_sync_with_anyone() {
    if (leaving_) return;
    const auto alive = [this](const MemberRecord& record) {
        return record.member.state == MemberState::kAlive && route(record.member);
    };
    for (const MemberRecord* record : members_.pick(1, alive)) want_stream(StreamUse::kSync, record->member);
}

void Membership::emit(MemberEventKind kind, const Member& member) {
    if (effects_.events.size() >= kEffectsMax) {
        ++counts_.effects_dropped;
        return;
    }
    effects_.events.push_back({kind, member});
}

/// Something in what we say of ourselves has changed.
void Membership::announce_self() {
    if (leaving_) return;
    ++self_.incarnation;
    broadcast(self_.id, encode_alive(self_));
}

const Member* Membership::find(NodeId id) const {
    const MemberRecord* record = members_.find(id);
    return record == nullptr ? nullptr : &record->member;
}

}  // namespace smackd::core::gossip
