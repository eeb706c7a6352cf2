// DNS packets for tests: questions out of text, answers into text.
#pragma once

#include <string>
#include <vector>

#include "core/dns/query.h"

namespace smackd::core::dns::test {

inline Bytes question(const std::string& name, uint16_t type, uint16_t udp_bytes = 0, uint16_t id = 7) {
    Bytes packet(kHeaderBytes, '\0');
    write_u16(packet.data(), id);
    write_u16(packet.data() + 2, kFlagRecursionDesired);
    write_u16(packet.data() + 4, 1);
    size_t at = 0;
    while (at < name.size()) {  // by hand, so that the spelling stays
        const size_t dot = std::min(name.find('.', at), name.size());
        packet.push_back(static_cast<char>(dot - at));
        packet += name.substr(at, dot - at);
        at = dot + 1;
    }
    packet.push_back('\0');
    packet.resize(packet.size() + 4);
    write_u16(packet.data() + packet.size() - 4, type);
    write_u16(packet.data() + packet.size() - 2, kClassIn);
    if (udp_bytes != 0) {
        Bytes opt(11, '\0');
        write_u16(opt.data() + 1, kTypeOpt);
        write_u16(opt.data() + 3, udp_bytes);
        packet += opt;
        write_u16(packet.data() + 10, 1);
    }
    return packet;
}

/// The name at `at`, pointers followed; moves `at` behind it.
inline std::string read_name(BytesView packet, size_t& at) {
    std::string text;
    size_t here = at;
    bool jumped = false;
    for (int steps = 0; steps < 200; ++steps) {
        const auto length = static_cast<uint8_t>(packet[here]);
        if ((length & 0xc0) == 0xc0) {
            if (!jumped) at = here + 2;
            jumped = true;
            here = read_u16(packet, here) & 0x3fff;
            continue;
        }
        if (length == 0) {
            if (!jumped) at = here + 1;
            return text.empty() ? "." : text;
        }
        text += (text.empty() ? "" : ".") + std::string(packet.substr(here + 1, length));
        here += 1 + length;
    }
    return "loop";
}

struct Reply {
    uint16_t id = 0;
    uint16_t flags = 0;
    int rcode = 0;
    std::string name;                      ///< of the question
    std::vector<std::string> sections[3];  ///< "name TYPE data"
    bool edns = false;
};

inline std::string record_text(BytesView packet, size_t& at, Reply& reply) {
    const std::string name = read_name(packet, at);
    const uint16_t type = read_u16(packet, at);
    const size_t length = read_u16(packet, at + 8);
    size_t data = at + 10;
    at = data + length;
    switch (type) {
        case kTypeA: {
            std::string text;
            for (size_t i = 0; i < 4; ++i)
                text += (i == 0 ? "" : ".") + std::to_string(static_cast<uint8_t>(packet[data + i]));
            return name + " A " + text;
        }
        case kTypeAaaa:
            return name + " AAAA " + to_hex(packet.substr(data, 16));
        case kTypeSrv: {
            const uint16_t port = read_u16(packet, data + 4);
            data += 6;
            return name + " SRV " + read_name(packet, data) + ":" + std::to_string(port);
        }
        case kTypeNs:
            return name + " NS " + read_name(packet, data);
        case kTypeCname:
            return name + " CNAME " + read_name(packet, data);
        case kTypeSoa: {
            const std::string server = read_name(packet, data);
            return name + " SOA " + server;
        }
        case kTypeOpt:
            reply.edns = true;
            return "";
        default:
            return name + " TYPE" + std::to_string(type);
    }
}

inline Reply read_reply(BytesView packet) {
    Reply reply;
    reply.id = read_u16(packet, 0);
    reply.flags = read_u16(packet, 2);
    reply.rcode = reply.flags & 15;
    size_t at = kHeaderBytes;
    if (read_u16(packet, 4) == 1) {
        reply.name = read_name(packet, at);
        at += 4;
    }
    for (size_t section = 0; section < 3; ++section) {
        for (unsigned i = 0; i < read_u16(packet, 6 + 2 * section); ++i) {
            std::string text = record_text(packet, at, reply);
            if (!text.empty()) reply.sections[section].push_back(std::move(text));
        }
    }
    return reply;
}

}  // namespace smackd::core::dns::test
