#include "core/gossip/members.h"

#include <algorithm>

#include "core/assert.h"

namespace smackd::core::gossip {

std::string_view member_state_name(MemberState state) {
    switch (state) {
        case MemberState::kAlive:
            return "alive";
        case MemberState::kSuspect:
            return "suspect";
        case MemberState::kDead:
            return "dead";
        case MemberState::kLeft:
            return "left";
    }
    return "unknown";
}

std::string_view member_event_name(MemberEventKind kind) {
    switch (kind) {
        case MemberEventKind::kJoined:
            return "joined";
        case MemberEventKind::kSuspected:
            return "suspected";
        case MemberEventKind::kAlive:
            return "alive";
        case MemberEventKind::kUnreachable:
            return "unreachable";
        case MemberEventKind::kLeft:
            return "left";
        case MemberEventKind::kUpdated:
            return "updated";
        case MemberEventKind::kRemoved:
            return "removed";
        case MemberEventKind::kConflict:
            return "conflict";
    }
    return "unknown";
}

MemberRecord* Members::find(NodeId id) {
    const auto at = place_.find(id);
    return at == place_.end() ? nullptr : &records_[at->second];
}

const MemberRecord* Members::find(NodeId id) const {
    const auto at = place_.find(id);
    return at == place_.end() ? nullptr : &records_[at->second];
}

MemberRecord& Members::add(Member member) {
    SMACK_ASSERT(!place_.contains(member.id));
    place_[member.id] = records_.size();
    // At the end it would be probed last by everybody, all at the same time.
    const size_t place = walked_ + random_.below(round_.size() - walked_ + 1);
    round_.insert(round_.begin() + static_cast<ptrdiff_t>(place), member.id);
    records_.push_back({.member = std::move(member), .details_incarnation = 0, .suspicion = {}});
    records_.back().details_incarnation = records_.back().member.incarnation;
    return records_.back();
}

void Members::remove(NodeId id) {
    const auto at = place_.find(id);
    if (at == place_.end()) return;
    const size_t place = at->second;
    place_.erase(at);
    if (place + 1 != records_.size()) {
        records_[place] = std::move(records_.back());
        place_[records_[place].member.id] = place;
    }
    records_.pop_back();
    const auto in_round = std::ranges::find(round_, id);
    if (in_round - round_.begin() < static_cast<ptrdiff_t>(walked_)) --walked_;
    round_.erase(in_round);
}

void Members::shuffle() {
    for (size_t i = round_.size(); i > 1; --i) std::swap(round_[i - 1], round_[random_.below(i)]);
    walked_ = 0;
}

}  // namespace smackd::core::gossip
