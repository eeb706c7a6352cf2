#include "core/bytes.h"

#include <bit>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

#include "core/assert.h"

namespace smackd::core {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";
constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kBase64Url = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

std::string encode64(BytesView bytes, std::string_view alphabet, bool padded) {
    std::string out;
    out.reserve((bytes.size() + 2) / 3 * 4);
    uint32_t group = 0;
    int bits = 0;
    for (const char c : bytes) {
        group = (group << 8U) | static_cast<uint8_t>(c);
        bits += 8;
        while (bits >= 6) {
            bits -= 6;
            out.push_back(alphabet[(group >> static_cast<uint32_t>(bits)) & 63U]);
        }
    }
    if (bits > 0) out.push_back(alphabet[(group << static_cast<uint32_t>(6 - bits)) & 63U]);
    while (padded && out.size() % 4 != 0) out.push_back('=');
    return out;
}

Result<Bytes> decode64(std::string_view text, std::string_view alphabet) {
    Bytes out;
    out.reserve(text.size() * 3 / 4);
    uint32_t group = 0;
    int bits = 0;
    for (const char c : text) {
        const size_t value = alphabet.find(c);
        if (value == std::string_view::npos)
            return fail(Errc::kInvalid, "base64: character not of the alphabet");
        group = (group << 6U) | static_cast<uint32_t>(value);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out.push_back(static_cast<char>((group >> static_cast<uint32_t>(bits)) & 255U));
        }
    }
    if (bits >= 6) return fail(Errc::kInvalid, "base64: length is not possible");
    if ((group & ((1U << static_cast<uint32_t>(bits)) - 1U)) != 0) {
        return fail(Errc::kInvalid, "base64: trailing bits are not zero");
    }
    return out;
}

constexpr std::array<uint32_t, 256> make_crc_table() {
    std::array<uint32_t, 256> table{};
    for (uint32_t i = 0; i < 256; ++i) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? 0x82F63B78U : 0U);
        table[i] = crc;
    }
    return table;
}
constexpr std::array<uint32_t, 256> kCrcTable = make_crc_table();

uint32_t crc32c_table(BytesView bytes, uint32_t crc) {
    for (const char c : bytes) crc = kCrcTable[(crc ^ static_cast<uint8_t>(c)) & 255U] ^ (crc >> 8U);
    return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) uint32_t crc32c_sse42(BytesView bytes, uint32_t crc) {
    uint64_t wide = crc;
    while (bytes.size() >= 8) {
        uint64_t word = 0;
        std::memcpy(&word, bytes.data(), 8);
        wide = _mm_crc32_u64(wide, word);
        bytes.remove_prefix(8);
    }
    auto narrow = static_cast<uint32_t>(wide);
    for (const char c : bytes) narrow = _mm_crc32_u8(narrow, static_cast<uint8_t>(c));
    return narrow;
}
#endif

}  // namespace

std::string to_hex(BytesView bytes) {
    std::string out;
    out.reserve(bytes.size() * 2);
    for (const char c : bytes) {
        out.push_back(kHexDigits[static_cast<uint8_t>(c) >> 4U]);
        out.push_back(kHexDigits[static_cast<uint8_t>(c) & 15U]);
    }
    return out;
}

Result<Bytes> from_hex(std::string_view text) {
    if (text.size() % 2 != 0) return fail(Errc::kInvalid, "hex: length is odd");
    Bytes out;
    out.reserve(text.size() / 2);
    for (size_t i = 0; i < text.size(); i += 2) {
        const int high = hex_value(text[i]);
        const int low = hex_value(text[i + 1]);
        if (high < 0 || low < 0) return fail(Errc::kInvalid, "hex: character is not a hex digit");
        out.push_back(static_cast<char>(high * 16 + low));
    }
    return out;
}

std::string to_base64(BytesView bytes) {
    return encode64(bytes, kBase64, true);
}
std::string to_base64url(BytesView bytes) {
    return encode64(bytes, kBase64Url, false);
}

Result<Bytes> from_base64(std::string_view text) {
    if (text.size() % 4 != 0) return fail(Errc::kInvalid, "base64: length is not a multiple of 4");
    for (int pad = 0; pad < 2 && text.ends_with('='); ++pad) text.remove_suffix(1);
    return decode64(text, kBase64);
}

Result<Bytes> from_base64url(std::string_view text) {
    return decode64(text, kBase64Url);
}

uint32_t crc32c(BytesView bytes, uint32_t seed) {
    const uint32_t crc = ~seed;
#if defined(__x86_64__)
    static const bool has_sse42 = __builtin_cpu_supports("sse4.2") != 0;
    if (has_sse42) return ~crc32c_sse42(bytes, crc);
#endif
    return ~crc32c_table(bytes, crc);
}

void put_u32(Bytes& out, uint32_t value) {
    for (uint32_t shift = 0; shift < 32; shift += 8)
        out.push_back(static_cast<char>((value >> shift) & 255U));
}

void put_u64(Bytes& out, uint64_t value) {
    for (uint32_t shift = 0; shift < 64; shift += 8)
        out.push_back(static_cast<char>((value >> shift) & 255U));
}

uint32_t get_u32(const char* at) {
    static_assert(std::endian::native == std::endian::little);
    uint32_t value = 0;
    std::memcpy(&value, at, sizeof value);
    return value;
}

uint64_t get_u64(const char* at) {
    uint64_t value = 0;
    std::memcpy(&value, at, sizeof value);
    return value;
}

bool equal_constant_time(BytesView left, BytesView right) {
    if (left.size() != right.size()) return false;
    uint8_t difference = 0;
    for (size_t i = 0; i < left.size(); ++i) {
        difference = static_cast<uint8_t>(difference |
                                          (static_cast<uint8_t>(left[i]) ^ static_cast<uint8_t>(right[i])));
    }
    return difference == 0;
}

}  // namespace smackd::core
