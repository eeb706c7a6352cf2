// Push-pull: two members bring each other up to date over a stream, and what is kept on disk for the next
// life.
#include "core/gossip/membership.h"

namespace smackd::core::gossip {
namespace {

/// The finaliser of splitmix64: one changed bit changes half of the result.
uint64_t mix(uint64_t value) {
    value += 0x9E3779B97F4A7C15ULL;
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9ULL;
    value = (value ^ (value >> 27)) * 0x94D049BB133111EBULL;
    return value ^ (value >> 31);
}

uint64_t digest_of(const Member& member) {
    return mix(mix(mix(member.id.value) ^ member.generation) ^ member.incarnation);
}

template <class Message>
Result<void> parse(BytesView bytes, Message& message) {
    if (bytes.size() > kSyncBytesMax) {
        return fail(Errc::kInvalid, "state has {} bytes, above the limit of {}", bytes.size(), kSyncBytesMax);
    }
    if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
        return fail(Errc::kInvalid, "state is no {}", message.GetTypeName());
    }
    if (static_cast<size_t>(message.members_size()) > kMembersMax + 1) {
        return fail(Errc::kInvalid, "state has {} members, above the limit of {}", message.members_size(),
                    kMembersMax + 1);
    }
    return {};
}

}  // namespace

/// The dead are not part of it: they are forgotten at different times. Suspects count as alive, since a
/// suspicion passes.
uint64_t Membership::digest() const {
    uint64_t digest = leaving_ ? 0 : digest_of(self_);
    for (const MemberRecord& record : members_.records()) {
        if (record.member.live()) digest ^= digest_of(record.member);
    }
    return digest;
}

template <class Message>
void Membership::fill_state(Message& message) const {
    const auto add = [&message](const Member& member) {
        wire::GossipMemberState& state = *message.add_members();
        fill_alive(member, *state.mutable_about());
        state.set_state(static_cast<uint32_t>(member.state));
    };
    add(self_);
    for (const MemberRecord& record : members_.records()) add(record.member);
}

Bytes Membership::sync_request() const {
    wire::GossipSync request;
    request.set_digest(digest());
    if (live() == 1) {  // just started: nobody has the same, so the state goes along and saves a round trip
        request.set_full(true);
        fill_state(request);
    }
    return request.SerializeAsString();
}

Result<Bytes> Membership::on_sync_request(NodeId peer, BytesView body, Instant now) {
    wire::GossipSync request;
    TRY(parse(body, request));
    begin(now);
    wire::GossipSyncReply reply;
    reply.set_same(request.digest() == digest());
    // What we know goes out as it was before theirs is merged, else they would get their own back.
    if (!reply.same()) fill_state(reply);
    auto merged = request.full() ? merge(peer, request) : Result<void>{};
    finish();
    if (!merged) return pass(std::move(merged));
    return reply.SerializeAsString();
}

Result<std::optional<Bytes>> Membership::on_sync_reply(NodeId peer, BytesView body, Instant now) {
    wire::GossipSyncReply reply;
    TRY(parse(body, reply));
    if (reply.same() || reply.members_size() == 0) return std::nullopt;
    begin(now);
    const bool alone = live() == 1;  // then the request was full, and this is the end of it
    wire::GossipSync push;
    if (!alone) fill_state(push);
    auto merged = merge(peer, reply);
    finish();
    if (!merged) return pass(std::move(merged));
    if (alone) return std::nullopt;
    push.set_full(true);
    push.set_digest(digest());
    return push.SerializeAsString();
}

template <class Message>
Result<void> Membership::merge(NodeId peer, const Message& message) {
    if (peer == self_.id || (allowed_ && !allowed_->contains(peer))) {
        ++counts_.packets_refused;
        return fail(Errc::kDenied, "node {} is not in the machine registry, or is this one", peer.value);
    }
    for (const wire::GossipMemberState& remote : message.members()) TRY(check_alive(remote.about()));
    for (const wire::GossipMemberState& remote : message.members()) merge_member(remote, peer);
    return {};
}

/// A peer's dead are our suspects, so that they get to hear of it and can refute.
void Membership::merge_member(const wire::GossipMemberState& remote, NodeId peer) {
    const wire::GossipAlive& about = remote.about();
    const Accusation accusation{NodeId{about.node()}, about.generation(), about.incarnation(), peer};
    switch (static_cast<MemberState>(remote.state())) {
        case MemberState::kAlive:
            return on_alive(about, peer);
        case MemberState::kSuspect:
            on_alive(about, peer);
            return on_suspect(accusation);
        case MemberState::kDead:
            return on_suspect(accusation);
        case MemberState::kLeft: {
            wire::GossipLeft left;
            left.set_node(about.node());
            left.set_generation(about.generation());
            left.set_incarnation(about.incarnation());
            return on_left(left);
        }
    }
}

Bytes Membership::snapshot() const {
    wire::GossipSnapshot snapshot;
    for (const MemberRecord& record : members_.records()) {
        if (record.member.state != MemberState::kLeft) fill_alive(record.member, *snapshot.add_members());
    }
    return snapshot.SerializeAsString();
}

Result<void> Membership::restore(BytesView bytes, Instant now) {
    wire::GossipSnapshot snapshot;
    if (auto read = parse(bytes, snapshot); !read) {
        return fail(Errc::kCorrupt, "known members on disk: {}", read.error().message);
    }
    begin(now);
    for (const wire::GossipAlive& about : snapshot.members()) {
        const NodeId id{about.node()};
        if (!check_alive(about) || id == self_.id || members_.find(id) != nullptr) continue;
        if (!admitted(id, about.generation()) || members_.size() >= kMembersMax) continue;
        Member member = member_of(about);
        // Unknown rather than dead: any word of it, also of the same incarnation, counts.
        member.incarnation = member.incarnation > 0 ? member.incarnation - 1 : 0;
        member.state = MemberState::kDead;
        member.since = now;
        if (member.addresses.empty()) ++held_;
        members_.add(std::move(member));
        ++dead_;
    }
    next_reconnect_ = now;
    finish();
    return {};
}

}  // namespace smackd::core::gossip
