// The table of members: found by id, picked at random, walked in shuffled rounds.
#pragma once

#include <concepts>
#include <optional>
#include <unordered_map>
#include <vector>

#include "core/gossip/member.h"
#include "core/gossip/suspicion.h"
#include "core/random.h"

namespace smackd::core::gossip {

/// A member and what is kept beside it for the protocol.
struct MemberRecord {
    Member member;
    uint64_t details_incarnation =
        0;  ///< of name, addresses and metadata; an accusation may know a newer one
    Instant heard{Duration::min() / 2};  ///< last heartbeat on a stream
    std::optional<Suspicion> suspicion;
};

class Members {
 public:
    explicit Members(Random& random) : random_(random) {}

    MemberRecord* find(NodeId id);
    const MemberRecord* find(NodeId id) const;
    /// `member.id` is not there yet. It comes at a random place of the current round. Moves other records.
    MemberRecord& add(Member member);
    void remove(NodeId id);
    /// The next of the round that `wanted` accepts; each round is shuffled anew. Null when there is none.
    template <std::predicate<const MemberRecord&> Wanted>
    MemberRecord* next(Wanted wanted);
    /// Up to `count` different ones that `wanted` accepts, all of them when there are no more than that.
    template <std::predicate<const MemberRecord&> Wanted>
    std::vector<MemberRecord*> pick(size_t count, Wanted wanted);

    size_t size() const { return records_.size(); }
    std::vector<MemberRecord>& records() { return records_; }
    const std::vector<MemberRecord>& records() const { return records_; }

 private:
    void shuffle();

    Random& random_;
    std::vector<MemberRecord> records_;
    std::unordered_map<NodeId, size_t> place_;
    std::vector<NodeId> round_;
    size_t walked_ = 0;
};

template <std::predicate<const MemberRecord&> Wanted>
MemberRecord* Members::next(Wanted wanted) {
    for (size_t looked = 0; looked < 2 * round_.size(); ++looked) {
        if (walked_ >= round_.size()) shuffle();
        MemberRecord* record = find(round_[walked_++]);
        if (record != nullptr && wanted(*record)) return record;
    }
    return nullptr;
}

template <std::predicate<const MemberRecord&> Wanted>
std::vector<MemberRecord*> Members::pick(size_t count, Wanted wanted) {
    std::vector<MemberRecord*> picked;
    if (records_.empty()) return picked;
    const auto take = [&](MemberRecord& record) {
        for (const MemberRecord* other : picked) {
            if (other == &record) return;
        }
        if (wanted(record)) picked.push_back(&record);
    };
    // A few draws find enough in a large healthy cluster; whatever they leave, a walk from a random place
    // completes, so a small cluster is never told that there is nobody.
    for (size_t draw = 0; draw < 4 * count && picked.size() < count; ++draw) {
        take(records_[random_.below(records_.size())]);
    }
    const size_t from = picked.size() < count ? random_.below(records_.size()) : 0;
    for (size_t i = 0; i < records_.size() && picked.size() < count; ++i) {
        take(records_[(from + i) % records_.size()]);
    }
    return picked;
}

}  // namespace smackd::core::gossip
