// A query as it came (RFC 1035 section 4, EDNS0 of RFC 6891), and the numbers of the protocol.
#pragma once

#include <array>
#include <cstdint>

#include "core/bytes.h"
#include "core/dns/name.h"

namespace smackd::core::dns {

inline constexpr size_t kHeaderBytes = 12;
inline constexpr size_t kMessageBytesMax = 65535;  ///< over TCP
inline constexpr uint16_t kUdpBytesPlain = 512;    ///< without EDNS
inline constexpr uint16_t kUdpBytesMax = 1232;     ///< no fragments on any path (DNS flag day 2020)

enum Type : uint16_t {
    kTypeApex = 0,  ///< ours alone: marks where a zone of ours begins
    kTypeA = 1,
    kTypeNs = 2,
    kTypeCname = 5,
    kTypeSoa = 6,
    kTypeAaaa = 28,
    kTypeSrv = 33,
    kTypeOpt = 41,
    kTypeIxfr = 251,
    kTypeAxfr = 252,
    kTypeAny = 255,
};
inline constexpr uint16_t kClassIn = 1;
inline constexpr uint16_t kClassAny = 255;

enum Rcode : uint16_t {
    kNoError = 0,
    kFormatError = 1,
    kServerFailure = 2,
    kNameError = 3,  ///< NXDOMAIN
    kNotImplemented = 4,
    kRefused = 5,
    kBadVersion = 16,  ///< extended: needs EDNS
};

inline constexpr uint16_t kFlagResponse = 0x8000;
inline constexpr uint16_t kFlagAuthoritative = 0x0400;
inline constexpr uint16_t kFlagTruncated = 0x0200;
inline constexpr uint16_t kFlagRecursionDesired = 0x0100;
inline constexpr uint16_t kFlagRecursionAvailable = 0x0080;
inline constexpr uint16_t kFlagCheckingDisabled = 0x0010;

/// Points into the packet it was parsed from.
struct Query {
    uint16_t id = 0;
    uint16_t flags = 0;
    BytesView question;  ///< name, type and class as asked, in the asker's spelling
    uint16_t type = 0;
    uint16_t question_class = 0;
    bool edns = false;
    bool dnssec_ok = false;
    uint16_t udp_bytes = kUdpBytesPlain;  ///< what the asker takes over UDP, 512 to kUdpBytesMax
    Rcode verdict = kNoError;             ///< other than kNoError: answer with this

    BytesView name() const { return {name_.data(), name_size_}; }  ///< wire form, lower case
    uint8_t labels() const { return labels_; }
    /// The name from its `index`th label on; index 0 is the whole name, labels() the root.
    BytesView suffix(uint8_t index) const { return name().substr(label_at_[index]); }

    /// False: drop it, it deserves no answer (too short, itself an answer). Otherwise `verdict` says how it
    /// is.
    bool parse(BytesView packet);

 private:
    bool parse_name(BytesView packet, size_t& at);
    void parse_additional(BytesView packet, size_t at, unsigned before, unsigned additional);

    std::array<char, kNameBytesMax> name_{};
    std::array<uint8_t, 129> label_at_{};
    size_t name_size_ = 0;
    uint8_t labels_ = 0;
};

/// Big-endian, as all of DNS; the caller has checked the length.
inline uint16_t read_u16(BytesView bytes, size_t at) {
    return static_cast<uint16_t>((static_cast<uint8_t>(bytes[at]) << 8) |
                                 static_cast<uint8_t>(bytes[at + 1]));
}
inline uint32_t read_u32(BytesView bytes, size_t at) {
    return (static_cast<uint32_t>(read_u16(bytes, at)) << 16) | read_u16(bytes, at + 2);
}
inline void write_u16(char* at, uint16_t value) {
    at[0] = static_cast<char>(value >> 8);
    at[1] = static_cast<char>(value & 0xff);
}
inline void write_u32(char* at, uint32_t value) {
    write_u16(at, static_cast<uint16_t>(value >> 16));
    write_u16(at + 2, static_cast<uint16_t>(value & 0xffff));
}

/// The end of the name that begins at `at`, pointers not followed; 0 when it is malformed.
size_t skip_name(BytesView packet, size_t at);

}  // namespace smackd::core::dns
