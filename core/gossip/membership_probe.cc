// Failure detection: pings, helpers, and what their answers mean.
#include <algorithm>

#include "core/gossip/membership.h"
#include "core/planted.h"

namespace smackd::core::gossip {
namespace {

constexpr uint32_t kHelperRoundsMax = 3;

}  // namespace

void Membership::probe_next() {
    next_probe_ = now_ + awareness_.scaled(parameters_.probe_interval);
    if (leaving_) return;
    const auto wanted = [this](const MemberRecord& record) {
        return record.member.live() && !record.member.addresses.empty() && route(record.member) &&
               !probing(record.member.id) && now_ - record.heard > parameters_.probe_interval;
    };
    if (MemberRecord* record = members_.next(wanted)) start_probe(*record);
}

void Membership::start_probe(MemberRecord& record) {
    if (probes_.size() >= kProbesMax || record.member.addresses.empty() || !route(record.member)) return;
    ++counts_.probes;
    probes_.push_back({.target = record.member.id,
                       .sequence = ++sequence_,
                       .next_round = now_,
                       .deadline = now_ + awareness_.scaled(parameters_.probe_interval)});
    run_round(probes_.back());
}

/// The first round is the ping alone. Each later one repeats it, asks helpers, and once tries a stream: a
/// verdict is to need a dead member, not a lossy network.
void Membership::run_round(Probe& probe) {
    const MemberRecord* target = members_.find(probe.target);
    probe.next_round = now_ + parameters_.probe_timeout;
    const uint32_t round = probe.rounds++;
    send(*target, encode_ping(probe.sequence, probe.target), round);
    if (round == 0 || round > kHelperRoundsMax || SMACK_BUG("gossip_no_helpers")) return;
    if (round == 1) want_stream(StreamUse::kPing, target->member);
    const auto helper = [&](const MemberRecord& record) {
        return record.member.state == MemberState::kAlive && !record.member.addresses.empty() &&
               record.member.id != probe.target;
    };
    const Bytes request = encode_ping_request(probe.sequence, target->member);
    for (const MemberRecord* record : members_.pick(parameters_.indirect_probes, helper)) {
        if (round == 1) ++probe.nacks_expected;
        send(*record, request);
    }
}

void Membership::run_probes() {
    std::vector<Probe> over;
    std::erase_if(probes_, [&](const Probe& probe) {
        if (now_ < probe.deadline) return false;
        over.push_back(probe);
        return true;
    });
    for (Probe& probe : probes_) {
        if (now_ >= probe.next_round) run_round(probe);
    }
    for (const Probe& probe : over) judge(probe);
}

/// No answer in the whole interval. Helpers that did not even say nack are a sign that the fault is ours.
void Membership::judge(const Probe& probe) {
    const MemberRecord* record = members_.find(probe.target);
    if (record == nullptr || !record->member.live()) return;
    ++counts_.probes_failed;
    const uint32_t missing = probe.nacks_expected - std::min(probe.nacks, probe.nacks_expected);
    awareness_.apply(probe.nacks_expected > 0 ? static_cast<int>(missing) : 1);
    on_suspect({probe.target, record->member.generation, record->member.incarnation, self_.id});
}

void Membership::run_relays() {
    std::erase_if(relays_, [this](Relay& relay) {
        if (now_ < relay.nack_at) return false;
        if (relay.nacked) return true;
        send_to(relay.asker, relay.asker_address, encode_nack(relay.asker_sequence));
        relay.nacked = true;
        relay.nack_at = now_ + parameters_.probe_interval;  // a late answer is still passed on
        return false;
    });
}

bool Membership::probing(NodeId node) const {
    return std::ranges::contains(probes_, node, &Probe::target);
}

void Membership::on_ping(NodeId sender, std::string_view from, const wire::GossipPing& ping) {
    const NodeId target{ping.target()};
    if (target != self_.id && !SMACK_BUG("gossip_ack_wrong_target")) {
        ++counts_.wrong_target;  // this address was another's before
        return;
    }
    send_to(sender, from, encode_ack(ping.sequence(), target));
}

void Membership::on_ping_request(NodeId sender, std::string_view from,
                                 const wire::GossipPingRequest& request) {
    const NodeId target{request.target()};
    if (target == self_.id) return send_to(sender, from, encode_ack(request.sequence(), self_.id));
    const MemberRecord* record = members_.find(target);
    if (record != nullptr && !record->member.live()) return owe(target);
    if (relays_.size() >= kRelaysMax || request.address().empty()) return;
    relays_.push_back({.sequence = ++sequence_,
                       .asker_sequence = request.sequence(),
                       .asker = sender,
                       .asker_address = std::string(from),
                       .target = target,
                       .nack_at = now_ + parameters_.probe_timeout * 4 / 5});
    send_to(target, request.address(), encode_ping(sequence_, target));
}

void Membership::on_ack(NodeId sender, const wire::GossipAck& ack) {
    const NodeId node{ack.node()};
    const auto probe = std::ranges::find(probes_, ack.sequence(), &Probe::sequence);
    if (probe != probes_.end() && probe->target == node) {
        // Beyond Lifeguard: an answer that took a repeat is a sign of loss, or of us being slow. Longer
        // intervals then leave room for more repeats, so that 30 % loss costs time instead of false
        // suspicions.
        awareness_.apply(probe->rounds > 1 ? 1 : -1);
        probes_.erase(probe);
        return;
    }
    const auto relay = std::ranges::find(relays_, ack.sequence(), &Relay::sequence);
    if (relay == relays_.end() || relay->target != node || sender != node) return;
    send_to(relay->asker, relay->asker_address, encode_ack(relay->asker_sequence, node));
    relays_.erase(relay);
}

void Membership::on_nack(uint32_t sequence) {
    const auto probe = std::ranges::find(probes_, sequence, &Probe::sequence);
    if (probe != probes_.end()) ++probe->nacks;
}

}  // namespace smackd::core::gossip
