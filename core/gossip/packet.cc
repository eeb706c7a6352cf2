#include "core/gossip/packet.h"

#include "core/planted.h"

namespace smackd::core::gossip {
namespace {

constexpr char kMessagesTag = (3 << 3) | 2;  // GossipPacket.messages, length-delimited

void put_varint(Bytes& out, uint64_t value) {
    for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
    out.push_back(static_cast<char>(value));
}

/// A GossipMessage with the message `field` of a sequence number and perhaps an id; those are most of all
/// packets, and protobuf would allocate two objects for each.
Bytes encode_small(int field, uint32_t sequence, NodeId node) {
    Bytes body;
    body.push_back(1 << 3);
    put_varint(body, sequence);
    if (node.value != 0) {
        body.push_back(2 << 3);
        put_varint(body, node.value);
    }
    const auto size = static_cast<char>(body.size());  // below 20
    const Bytes head{kMessagesTag, static_cast<char>(size + 2), static_cast<char>((field << 3) | 2), size};
    return head + body;
}

template <class Accusation>
void fill_accusation(const Member& member, NodeId from, Accusation& accusation) {
    accusation.set_node(member.id.value);
    accusation.set_generation(member.generation);
    accusation.set_incarnation(member.incarnation);
    accusation.set_from(from.value);
}

Result<void> check_incarnation(uint64_t node, uint64_t incarnation) {
    if (node == 0 && !SMACK_BUG("fuzz_gossip_packet")) return fail(Errc::kInvalid, "node must not be 0");
    if (incarnation > kIncarnationMax) {
        return fail(Errc::kInvalid, "incarnation {} of node {} is above {}", incarnation, node,
                    kIncarnationMax);
    }
    return {};
}

Result<void> check_message(const wire::GossipMessage& message) {
    switch (message.body_case()) {
        case wire::GossipMessage::kAlive:
            return check_alive(message.alive());
        case wire::GossipMessage::kSuspect:
            return check_incarnation(message.suspect().node(), message.suspect().incarnation());
        case wire::GossipMessage::kDead:
            return check_incarnation(message.dead().node(), message.dead().incarnation());
        case wire::GossipMessage::kLeft:
            return check_incarnation(message.left().node(), message.left().incarnation());
        case wire::GossipMessage::kPingRequest:
            if (message.ping_request().address().size() > kAddressBytesMax) {
                return fail(Errc::kInvalid, "address of a ping request is longer than {} bytes",
                            kAddressBytesMax);
            }
            return {};
        default:
            return {};  // nothing to check, or from a newer version: skipped
    }
}

}  // namespace

Bytes encode_message(const wire::GossipMessage& message) {
    Bytes out;
    const size_t size = message.ByteSizeLong();
    out.reserve(size + 3);
    out.push_back(kMessagesTag);
    put_varint(out, size);
    message.AppendToString(&out);
    return out;
}

Bytes encode_alive(const Member& member) {
    wire::GossipMessage message;
    fill_alive(member, *message.mutable_alive());
    return encode_message(message);
}

Bytes encode_suspect(const Member& member, NodeId from) {
    wire::GossipMessage message;
    fill_accusation(member, from, *message.mutable_suspect());
    return encode_message(message);
}

Bytes encode_dead(const Member& member, NodeId from) {
    wire::GossipMessage message;
    fill_accusation(member, from, *message.mutable_dead());
    return encode_message(message);
}

Bytes encode_left(const Member& member) {
    wire::GossipMessage message;
    message.mutable_left()->set_node(member.id.value);
    message.mutable_left()->set_generation(member.generation);
    message.mutable_left()->set_incarnation(member.incarnation);
    return encode_message(message);
}

Bytes encode_ping(uint32_t sequence, NodeId target) {
    return encode_small(wire::GossipMessage::kPingFieldNumber, sequence, target);
}

Bytes encode_ping_request(uint32_t sequence, const Member& target) {
    wire::GossipMessage message;
    message.mutable_ping_request()->set_sequence(sequence);
    message.mutable_ping_request()->set_target(target.id.value);
    message.mutable_ping_request()->set_address(target.addresses.front());
    return encode_message(message);
}

Bytes encode_ack(uint32_t sequence, NodeId node) {
    return encode_small(wire::GossipMessage::kAckFieldNumber, sequence, node);
}

Bytes encode_nack(uint32_t sequence) {
    return encode_small(wire::GossipMessage::kNackFieldNumber, sequence, {});
}

Bytes encode_head(NodeId sender, uint64_t generation) {
    wire::GossipPacket head;
    head.set_sender(sender.value);
    head.set_generation(generation);
    return head.SerializeAsString();
}

Result<void> decode_packet(BytesView bytes, wire::GossipPacket& packet) {
    if (bytes.size() > kPacketBytesMax) {
        return fail(Errc::kInvalid, "packet has {} bytes, above the limit of {}", bytes.size(),
                    kPacketBytesMax);
    }
    if (!packet.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
        return fail(Errc::kInvalid, "packet is no GossipPacket: {} bytes", bytes.size());
    }
    if (packet.sender() == 0) return fail(Errc::kInvalid, "sender must not be 0");
    if (static_cast<size_t>(packet.messages_size()) > kMessagesMax) {
        return fail(Errc::kInvalid, "packet of node {} has {} messages, above the limit of {}",
                    packet.sender(), packet.messages_size(), kMessagesMax);
    }
    for (const wire::GossipMessage& message : packet.messages()) TRY(check_message(message));
    return {};
}

Result<void> check_alive(const wire::GossipAlive& alive) {
    TRY(check_incarnation(alive.node(), alive.incarnation()));
    if (alive.name().size() > kNameBytesMax) {
        return fail(Errc::kInvalid, "name of node {} is longer than {} bytes", alive.node(), kNameBytesMax);
    }
    if (alive.metadata().size() > kMetadataBytesMax) {
        return fail(Errc::kInvalid, "metadata of node {} has {} bytes, above the limit of {}", alive.node(),
                    alive.metadata().size(), kMetadataBytesMax);
    }
    if (static_cast<size_t>(alive.addresses_size()) > kAddressesMax) {
        return fail(Errc::kInvalid, "node {} has {} addresses, above the limit of {}", alive.node(),
                    alive.addresses_size(), kAddressesMax);
    }
    for (const std::string& address : alive.addresses()) {
        if (!address.empty() && address.size() <= kAddressBytesMax) continue;
        return fail(Errc::kInvalid, "an address of node {} is empty or longer than {} bytes", alive.node(),
                    kAddressBytesMax);
    }
    return {};
}

void fill_alive(const Member& member, wire::GossipAlive& alive) {
    alive.set_node(member.id.value);
    alive.set_generation(member.generation);
    alive.set_incarnation(member.incarnation);
    alive.set_name(member.name);
    for (const std::string& address : member.addresses) alive.add_addresses(address);
    alive.set_metadata(member.metadata);
    alive.set_holder(member.holder.value);
}

Member member_of(const wire::GossipAlive& alive) {
    return {.id = NodeId{alive.node()},
            .generation = alive.generation(),
            .incarnation = alive.incarnation(),
            .name = alive.name(),
            .addresses = {alive.addresses().begin(), alive.addresses().end()},
            .metadata = alive.metadata(),
            .holder = NodeId{alive.holder()},
            .state = MemberState::kAlive,
            .since = {}};
}

}  // namespace smackd::core::gossip
