// Netlink messages (RFC 3549, linux/netlink.h): headers, fixed structures and nested attributes, padded to
// four bytes. Pure.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

#include "core/bytes.h"

namespace smackd::net::netlink {

class Message {
 public:
    /// `flags`: NLM_F_*; NLM_F_REQUEST is always added.
    Message(uint16_t type, uint16_t flags);

    /// The family's own header, first.
    template <class Struct>
    Message& header(const Struct& value) {
        static_assert(std::is_trivially_copyable_v<Struct>);
        append({reinterpret_cast<const char*>(&value), sizeof(value)});
        return *this;
    }
    Message& attribute(uint16_t type, core::BytesView bytes);
    Message& text(uint16_t type, std::string_view value);  ///< with its final NUL
    Message& u8(uint16_t type, uint8_t value);
    Message& u32(uint16_t type, uint32_t value);          ///< in the machine's order: rtnetlink
    Message& u32_network(uint16_t type, uint32_t value);  ///< big-endian: netfilter
    /// Attributes until the matching end() are inside this one.
    Message& begin(uint16_t type);
    Message& end();

    /// With length and sequence number in its header; all begun attributes are ended.
    core::Bytes finish(uint32_t sequence) const;

 private:
    void append(core::BytesView bytes);  // and pads

    core::Bytes bytes_;
    std::string open_;  // offsets of begun attributes, four bytes each
};

/// Walks through attributes: `take(type, value)` for each. Stops at the first one that is cut.
template <class Take>
void each_attribute(core::BytesView bytes, Take take) {
    while (bytes.size() >= 4) {
        uint16_t length = 0;
        uint16_t type = 0;
        std::memcpy(&length, bytes.data(), 2);
        std::memcpy(&type, bytes.data() + 2, 2);
        if (length < 4 || length > bytes.size()) return;
        take(static_cast<uint16_t>(type & 0x3fffU), bytes.substr(4, length - 4U));
        const size_t padded = (length + 3U) & ~size_t{3};
        bytes.remove_prefix(padded < bytes.size() ? padded : bytes.size());
    }
}

}  // namespace smackd::net::netlink
