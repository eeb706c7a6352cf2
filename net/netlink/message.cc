#include "net/netlink/message.h"

#include <arpa/inet.h>
#include <linux/netlink.h>

#include "core/assert.h"

namespace smackd::net::netlink {

Message::Message(uint16_t type, uint16_t flags) {
    nlmsghdr header{};
    header.nlmsg_type = type;
    header.nlmsg_flags = static_cast<uint16_t>(flags | NLM_F_REQUEST);
    append({reinterpret_cast<const char*>(&header), sizeof(header)});
}

void Message::append(core::BytesView bytes) {
    bytes_.append(bytes);
    bytes_.resize((bytes_.size() + 3) & ~size_t{3});
}

Message& Message::attribute(uint16_t type, core::BytesView bytes) {
    const uint16_t length = static_cast<uint16_t>(4 + bytes.size());
    SMACK_ASSERT(bytes.size() < 65000);
    bytes_.append(reinterpret_cast<const char*>(&length), 2);
    bytes_.append(reinterpret_cast<const char*>(&type), 2);
    append(bytes);
    return *this;
}

Message& Message::text(uint16_t type, std::string_view value) {
    return attribute(type, std::string(value) + '\0');
}

Message& Message::u8(uint16_t type, uint8_t value) {
    return attribute(type, {reinterpret_cast<const char*>(&value), sizeof(value)});
}

Message& Message::u32(uint16_t type, uint32_t value) {
    return attribute(type, {reinterpret_cast<const char*>(&value), sizeof(value)});
}

Message& Message::u32_network(uint16_t type, uint32_t value) {
    return u32(type, htonl(value));
}

Message& Message::begin(uint16_t type) {
    core::put_u32(open_, static_cast<uint32_t>(bytes_.size()));
    return attribute(static_cast<uint16_t>(type | NLA_F_NESTED), {});
}

Message& Message::end() {
    SMACK_ASSERT(open_.size() >= 4);
    const size_t at = core::get_u32(open_.data() + open_.size() - 4);
    open_.resize(open_.size() - 4);
    SMACK_ASSERT(bytes_.size() - at < 65536);
    const uint16_t length = static_cast<uint16_t>(bytes_.size() - at);
    std::memcpy(bytes_.data() + at, &length, 2);
    return *this;
}

core::Bytes Message::finish(uint32_t sequence) const {
    SMACK_ASSERT(open_.empty());
    core::Bytes out = bytes_;
    nlmsghdr header{};
    std::memcpy(&header, out.data(), sizeof(header));
    header.nlmsg_len = static_cast<uint32_t>(out.size());
    header.nlmsg_seq = sequence;
    std::memcpy(out.data(), &header, sizeof(header));
    return out;
}

}  // namespace smackd::net::netlink
