#include "core/dns/sha1.h"

#include <bit>
#include <string>

namespace smackd::core::dns {
namespace {

void mix(std::array<uint32_t, 5>& hash, const char* block) {
    std::array<uint32_t, 80> word{};
    for (size_t i = 0; i < 16; ++i) {
        for (size_t byte = 0; byte < 4; ++byte)
            word[i] = (word[i] << 8) | static_cast<uint8_t>(block[4 * i + byte]);
    }
    for (size_t i = 16; i < 80; ++i)
        word[i] = std::rotl(word[i - 3] ^ word[i - 8] ^ word[i - 14] ^ word[i - 16], 1);
    auto [a, b, c, d, e] = hash;
    for (size_t i = 0; i < 80; ++i) {
        uint32_t f = b ^ c ^ d;
        uint32_t k = i < 40 ? 0x6ED9EBA1 : 0xCA62C1D6;
        if (i < 20) {
            f = (b & c) | (~b & d);
            k = 0x5A827999;
        } else if (i >= 40 && i < 60) {
            f = (b & c) | (b & d) | (c & d);
            k = 0x8F1BBCDC;
        }
        const uint32_t next = std::rotl(a, 5) + f + e + k + word[i];
        e = d;
        d = c;
        c = std::rotl(b, 30);
        b = a;
        a = next;
    }
    hash[0] += a;
    hash[1] += b;
    hash[2] += c;
    hash[3] += d;
    hash[4] += e;
}

}  // namespace

std::array<uint8_t, 20> sha1(std::string_view bytes) {
    std::string padded(bytes);
    padded.push_back('\x80');
    while (padded.size() % 64 != 56) padded.push_back('\0');
    const uint64_t bits = static_cast<uint64_t>(bytes.size()) * 8;
    for (int shift = 56; shift >= 0; shift -= 8) padded.push_back(static_cast<char>(bits >> shift));

    std::array<uint32_t, 5> hash = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    for (size_t at = 0; at < padded.size(); at += 64) mix(hash, padded.data() + at);
    std::array<uint8_t, 20> out{};
    for (size_t i = 0; i < 20; ++i) out[i] = static_cast<uint8_t>(hash[i / 4] >> (24 - 8 * (i % 4)));
    return out;
}

}  // namespace smackd::core::dns
