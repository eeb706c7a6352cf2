// Gossip datagrams, sealed and opened: no crash, and whatever is said, the membership stays within its
// limits.

#include <cstdlib>

#include "core/gossip/membership.h"
#include "core/random.h"
#include "net/gossip/sealing.h"

namespace {

using namespace smackd;  // NOLINT

void require(bool holds) {
    if (!holds) std::abort();
}

void check(const core::gossip::Membership& membership) {
    require(membership.members().size() <= core::gossip::kMembersMax);
    require(membership.broadcasts() <= core::gossip::kBroadcastsMax);
    require(membership.live() <= membership.members().size() + 1);
    for (const auto& record : membership.members().records()) {
        const core::gossip::Member& member = record.member;
        require(member.id.value != 0 && member.id != membership.self().id);
        require(member.metadata.size() <= core::gossip::kMetadataBytesMax);
        require(member.name.size() <= core::gossip::kNameBytesMax);
        require(member.addresses.size() <= core::gossip::kAddressesMax);
        require(member.incarnation <= core::gossip::kIncarnationMax);
        require(record.suspicion.has_value() == (member.state == core::gossip::MemberState::kSuspect));
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const core::BytesView bytes(reinterpret_cast<const char*>(data), size);
    static net::gossip::Sealing sealing(
        {.cluster_id = "c", .epoch = 0, .self = core::NodeId{1}, .session = 1});
    static const bool keyed = sealing.set_keys({core::Bytes(32, 'k')}).has_value();
    require(keyed);
    (void)sealing.open(bytes, core::WallTime{0});

    core::SeededRandom random(1);
    core::Instant now{std::chrono::seconds(1)};
    core::gossip::Membership membership({.id = core::NodeId{1},
                                         .generation = 1,
                                         .name = "n1",
                                         .addresses = {"h1"},
                                         .metadata = {},
                                         .incarnation = 1},
                                        {}, random, now);
    core::gossip::Effects effects;
    // The same packet twice, then time: what it left behind must run.
    for (int i = 0; i < 2; ++i) (void)membership.on_packet("h2", bytes, now);
    (void)membership.on_sync_request(core::NodeId{2}, bytes, now);
    (void)membership.on_sync_reply(core::NodeId{2}, bytes, now);
    (void)membership.restore(bytes, now);
    check(membership);
    for (int i = 0; i < 8; ++i) {
        now = std::max(now, membership.deadline());
        membership.on_timer(now);
        membership.take(effects);
        for (const auto& packet : effects.packets)
            require(packet.bytes.size() <= core::gossip::kPayloadBytesMax);
    }
    check(membership);
    return 0;
}
