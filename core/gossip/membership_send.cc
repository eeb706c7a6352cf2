// Where packets go and what rides along in them.
#include <algorithm>

#include "core/gossip/membership.h"

namespace smackd::core::gossip {
namespace {

constexpr size_t kOwedMax = 4;

}  // namespace

/// The address for the `attempt`th packet to `member` (its addresses take turns), empty for its stream, none
/// when only others can reach it.
std::optional<std::string_view> Membership::route(const Member& member, uint32_t attempt) const {
    if (self_.addresses.empty()) {
        if (member.id == self_.holder) return "";
        return std::nullopt;
    }
    if (!member.addresses.empty()) return member.addresses[attempt % member.addresses.size()];
    if (member.holder == self_.id) return "";
    return std::nullopt;
}

void Membership::send(const MemberRecord& to, BytesView first, uint32_t attempt) {
    if (const auto address = route(to.member, attempt)) put_packet(to.member.id, *address, first, &to);
}

/// An answer goes back to where the question came from.
void Membership::send_to(NodeId to, std::string_view address, BytesView first) {
    put_packet(to, address, first, members_.find(to));
}

/// `first`, then what the receiver must know about itself (Lifeguard's buddy system: who is accused hears it
/// at once, in the very ping he is to answer), then whatever else fits.
void Membership::put_packet(NodeId to, std::string_view address, BytesView first, const MemberRecord* known) {
    if (effects_.packets.size() >= kEffectsMax) {
        ++counts_.effects_dropped;
        return;
    }
    Bytes bytes = head_;
    bytes += first;
    size_t messages = first.empty() ? 0 : 1;
    if (known != nullptr && known->member.state == MemberState::kSuspect) {
        bytes += encode_suspect(known->member, self_.id);
        ++messages;
    }
    if (known != nullptr && known->member.state == MemberState::kDead) {
        bytes += encode_dead(known->member, self_.id);
        ++messages;
    }
    if (to == sender_) {
        for (const NodeId id : owed_) {
            const Bytes news = news_of(id);
            if (bytes.size() + news.size() > kPayloadBytesMax) continue;
            bytes += news;
            ++messages;
        }
        owed_.clear();
    }
    if (!broadcasts_.empty() && bytes.size() < kPayloadBytesMax) {
        messages += broadcasts_.take(bytes, kPayloadBytesMax - bytes.size(), kMessagesMax - messages,
                                     retransmit_limit(parameters_.retransmit_mult, live()));
    }
    if (messages > 0) effects_.packets.push_back({to, std::string(address), std::move(bytes)});
}

void Membership::gossip() {
    if (broadcasts_.empty()) return;
    next_gossip_ = now_ + parameters_.gossip_interval;
    const auto listens = [this](const MemberRecord& record) {
        const Member& member = record.member;
        if (member.state == MemberState::kLeft || !route(member)) return false;
        return member.live() || now_ - member.since < parameters_.gossip_to_dead;
    };
    const auto told = members_.pick(parameters_.gossip_fanout, listens);
    if (told.empty()) return broadcasts_.clear();
    for (const MemberRecord* record : told) {
        if (!broadcasts_.empty()) send(*record, {});
    }
}

/// Passed on at once when the last round is long enough ago, else with the next one.
void Membership::broadcast(NodeId about, Bytes message) {
    broadcasts_.add(about, std::move(message));
}

void Membership::owe(NodeId about) {
    if (sender_.value != 0 && owed_.size() < kOwedMax && !std::ranges::contains(owed_, about))
        owed_.push_back(about);
}

Bytes Membership::news_of(NodeId about) const {
    if (about == self_.id) return encode_alive(self_);
    const MemberRecord* record = members_.find(about);
    if (record == nullptr) return {};
    const Member& member = record->member;
    if (member.state == MemberState::kLeft) return encode_left(member);
    if (member.state == MemberState::kDead) return encode_dead(member, self_.id);
    return encode_alive(member);
}

}  // namespace smackd::core::gossip
