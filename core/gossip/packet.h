// Datagrams: encoded messages put together under a limit, and read back with every length checked.
#pragma once

#include <string>

#include "core/bytes.h"
#include "core/gossip/member.h"
#include "core/gossip/parameters.h"
#include "core/wire/gossip.pb.h"

namespace smackd::core::gossip {

/// One message as it stands in a packet.
Bytes encode_message(const wire::GossipMessage& message);
Bytes encode_alive(const Member& member);
Bytes encode_suspect(const Member& member, NodeId from);
Bytes encode_dead(const Member& member, NodeId from);
Bytes encode_left(const Member& member);
Bytes encode_ping(uint32_t sequence, NodeId target);
Bytes encode_ping_request(uint32_t sequence, const Member& target);
Bytes encode_ack(uint32_t sequence, NodeId node);
Bytes encode_nack(uint32_t sequence);
/// Sender and generation: what every packet begins with.
Bytes encode_head(NodeId sender, uint64_t generation);

/// Reads one datagram into `packet`. kInvalid names the limit or the field that is wrong.
Result<void> decode_packet(BytesView bytes, wire::GossipPacket& packet);

/// Checks what a member says of itself; kInvalid names the field and its limit.
Result<void> check_alive(const wire::GossipAlive& alive);
void fill_alive(const Member& member, wire::GossipAlive& alive);
/// `alive` has passed check_alive. The state is kAlive.
Member member_of(const wire::GossipAlive& alive);

}  // namespace smackd::core::gossip
