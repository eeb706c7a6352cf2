// One Membership under test: the fixture plays time, network and everybody else.
#pragma once

#include <catch2/catch_test_macros.hpp>
#include <map>
#include <memory>

#include "core/gossip/membership.h"

namespace smackd::core::gossip {
inline Member member(uint64_t id, uint64_t incarnation = 1) {
    return {.id = NodeId{id},
            .generation = 1,
            .incarnation = incarnation,
            .name = "n" + std::to_string(id),
            .addresses = {"h" + std::to_string(id)},
            .metadata = {},
            .holder = {},
            .since = {}};
}

/// Node 1 under test; everybody else is this fixture.
class One {
 public:
    explicit One(std::vector<uint64_t> others = {}, Parameters parameters = {}) : random_(1) {
        membership_ = std::make_unique<Membership>(Identity{.id = NodeId{1},
                                                            .generation = 1,
                                                            .name = "n1",
                                                            .addresses = {"h1"},
                                                            .metadata = {},
                                                            .incarnation = 1},
                                                   parameters, random_, now_);
        for (const uint64_t id : others) {
            hear(id, encode_alive(member(id)));
        }
        take();
    }

    Membership& operator*() { return *membership_; }
    Membership* operator->() { return membership_.get(); }

    Result<void> hear(uint64_t from, const Bytes& messages, uint64_t generation = 1) {
        return membership_->on_packet("h" + std::to_string(from),
                                      encode_head(NodeId{from}, generation) + messages, now_);
    }

    /// Passes time; members of `answering` answer pings, whatever is said is kept.
    void run(Duration duration, const std::map<uint64_t, bool>& answering = {}) {
        const Instant end = now_ + duration;
        while (membership_->deadline() <= end) {
            now_ = std::max(now_, membership_->deadline());
            membership_->on_timer(now_);
            answer(answering);
        }
        now_ = end;
    }

    /// Takes the effects; packets are read into said.
    void take() {
        membership_->take(effects_);
        for (const OutgoingPacket& out : effects_.packets) {
            wire::GossipPacket packet;
            REQUIRE(decode_packet(out.bytes, packet));
            said.emplace_back(out.to.value, packet);
        }
        for (const MemberEvent& event : effects_.events) events.push_back(event);
        for (const StreamWanted& wanted : effects_.streams) streams.push_back(wanted);
    }

    /// How many messages to `to` (0: anybody) satisfy `is`.
    template <class Is>
    size_t count(uint64_t to, Is is) const {
        size_t found = 0;
        for (const auto& [target, packet] : said) {
            for (const wire::GossipMessage& message : packet.messages()) {
                found += (to == 0 || to == target) && is(message) ? 1 : 0;
            }
        }
        return found;
    }

    size_t happened(MemberEventKind kind, uint64_t id) const {
        size_t found = 0;
        for (const MemberEvent& event : events)
            found += event.kind == kind && event.member.id.value == id ? 1 : 0;
        return found;
    }

    MemberState state(uint64_t id) { return membership_->find(NodeId{id})->state; }
    void clear() {
        take();
        said.clear();
        events.clear();
        streams.clear();
    }

    Instant now_{seconds(100)};
    std::vector<std::pair<uint64_t, wire::GossipPacket>> said;
    std::vector<MemberEvent> events;
    std::vector<StreamWanted> streams;

 private:
    void answer(const std::map<uint64_t, bool>& answering) {
        const size_t before = said.size();
        take();
        const std::vector<std::pair<uint64_t, wire::GossipPacket>> fresh(
            said.begin() + static_cast<ptrdiff_t>(before), said.end());
        for (const auto& [to, packet] : fresh) {
            const auto at = answering.find(to);
            if (at == answering.end() || !at->second) continue;
            for (const wire::GossipMessage& message : packet.messages()) {
                if (message.has_ping()) (void)hear(to, encode_ack(message.ping().sequence(), NodeId{to}));
                if (message.has_ping_request())
                    (void)hear(to, encode_nack(message.ping_request().sequence()));
            }
        }
    }

    SeededRandom random_;
    std::unique_ptr<Membership> membership_;
    Effects effects_;
};

}  // namespace smackd::core::gossip
