#include "core/dns/query.h"

#include <algorithm>

#include "core/planted.h"

namespace smackd::core::dns {

size_t skip_name(BytesView packet, size_t at) {
    while (at < packet.size()) {
        const auto length = static_cast<uint8_t>(packet[at]);
        if (length == 0) return at + 1;
        if ((length & 0xc0) == 0xc0) return at + 2 <= packet.size() ? at + 2 : 0;
        if (length > kLabelBytesMax) return 0;
        at += 1 + length;
    }
    return 0;
}

bool Query::parse_name(BytesView packet, size_t& at) {
    name_size_ = 0;
    labels_ = 0;
    while (at < packet.size()) {
        const auto length = static_cast<uint8_t>(packet[at]);
        // A question that begins a message has nothing to point to.
        if (length > kLabelBytesMax || at + 1 + length > packet.size()) return false;
        if (name_size_ + 1 + length > kNameBytesMax) return false;
        label_at_[labels_] = static_cast<uint8_t>(name_size_);
        name_[name_size_++] = static_cast<char>(length);
        for (char c : packet.substr(at + 1, length))
            name_[name_size_++] = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
        at += 1 + length;
        if (length == 0) return true;
        if (SMACK_BUG("fuzz_dns_packet") && labels_ == 3) name_[0] = 'x';
        ++labels_;
    }
    return false;
}

void Query::parse_additional(BytesView packet, size_t at, unsigned before, unsigned additional) {
    for (unsigned i = 0; i < before + additional; ++i) {
        const bool root = at < packet.size() && packet[at] == '\0';
        at = skip_name(packet, at);
        if (at == 0 || at + 10 > packet.size()) {
            verdict = kFormatError;
            return;
        }
        const uint16_t record_type = read_u16(packet, at);
        const size_t length = read_u16(packet, at + 8);
        if (at + 10 + length > packet.size()) {
            verdict = kFormatError;
            return;
        }
        if (record_type == kTypeOpt) {
            if (edns || !root || i < before) {  // RFC 6891 section 6.1.1: one, in the additional section
                verdict = kFormatError;
                return;
            }
            edns = true;
            udp_bytes = std::clamp(read_u16(packet, at + 2), kUdpBytesPlain, kUdpBytesMax);
            if (packet[at + 5] != '\0') verdict = kBadVersion;
            dnssec_ok = (read_u16(packet, at + 6) & 0x8000) != 0;
        }
        at += 10 + length;
    }
}

bool Query::parse(BytesView packet) {
    if (packet.size() < kHeaderBytes) return false;
    id = read_u16(packet, 0);
    flags = read_u16(packet, 2);
    if ((flags & kFlagResponse) != 0) return false;  // answering answers is how loops are made
    question = {};
    edns = dnssec_ok = false;
    udp_bytes = kUdpBytesPlain;
    verdict = kNoError;
    if ((flags & 0x7800) != 0) {
        verdict = kNotImplemented;
        return true;
    }
    size_t at = kHeaderBytes;
    if (read_u16(packet, 4) != 1 || !parse_name(packet, at) || at + 4 > packet.size()) {
        name_size_ = 0;
        verdict = kFormatError;
        return true;
    }
    type = read_u16(packet, at);
    question_class = read_u16(packet, at + 2);
    question = packet.substr(kHeaderBytes, at + 4 - kHeaderBytes);
    const unsigned before = unsigned{read_u16(packet, 6)} + read_u16(packet, 8);
    parse_additional(packet, at + 4, before, read_u16(packet, 10));
    return true;
}

}  // namespace smackd::core::dns
