#include "storage/sqlite/page.h"

#include <bit>
#include <cstring>
#include <string_view>

#include "core/bytes.h"
#include "core/planted.h"

namespace smackd::storage::sqlite {
namespace {

constexpr size_t kContentBytes = kPageBytes - kPageReservedBytes;

uint32_t page_checksum(const char* page, uint32_t number) {
    core::Bytes suffix;
    core::put_u32(suffix, number);
    return core::crc32c(suffix, core::crc32c({page, kContentBytes}));
}

bool all_zero(const char* page) {
    return page[0] == 0 && std::memcmp(page, page + 1, kPageBytes - 1) == 0;
}

uint32_t big_endian(const char* at) {
    return std::byteswap(core::get_u32(at));
}

/// The WAL's running checksum: two Fibonacci-weighted sums over pairs of words in the writer's byte order.
struct WalSum {
    uint32_t first;
    uint32_t second;
    void add(const char* bytes, size_t length) {
        for (size_t i = 0; i < length; i += 8) {
            first += core::get_u32(bytes + i) + second;
            second += core::get_u32(bytes + i + 4) + first;
        }
    }
};

}  // namespace

void seal_page(char* page, uint32_t number) {
    const uint32_t checksum = page_checksum(page, number);
    std::memcpy(page + kContentBytes, &checksum, sizeof checksum);
    std::memcpy(page + kContentBytes + sizeof checksum, &number, sizeof number);
}

bool page_is_sound(const char* page, uint32_t number) {
    if (SMACK_BUG("skip_page_checksum")) return true;
    const bool sealed = core::get_u32(page + kContentBytes) == page_checksum(page, number) &&
                        core::get_u32(page + kContentBytes + 4) == number;
    return sealed || all_zero(page);
}

bool wal_header_is_sound(const char* header) {
    constexpr uint32_t kMagicLittleEndian = 0x377f0682;
    constexpr size_t kSummed = kWalHeaderBytes - 8;
    WalSum sum{0, 0};
    sum.add(header, kSummed);
    return big_endian(header) == kMagicLittleEndian && big_endian(header + 8) == kPageBytes &&
           sum.first == big_endian(header + kSummed) && sum.second == big_endian(header + kSummed + 4);
}

bool frame_is_sound(const char* previous, const char* frame_header, const char* page) {
    WalSum sum{big_endian(previous), big_endian(previous + 4)};
    sum.add(frame_header, 8);
    sum.add(page, kPageBytes);
    return sum.first == big_endian(frame_header + 16) && sum.second == big_endian(frame_header + 20);
}

}  // namespace smackd::storage::sqlite
