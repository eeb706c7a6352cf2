#include "storage/log/sector.h"

#include <bit>
#include <cstring>

#include "core/assert.h"
#include "core/planted.h"

namespace smackd::storage {
namespace {

constexpr uint32_t kMagic = 0x5EA1DB6D;  // 19 one bits, more than kBlankBitsMax

void put_u16(char* at, uint16_t value) {
    at[0] = static_cast<char>(value & 0xFF);
    at[1] = static_cast<char>(value >> 8U);
}

uint16_t get_u16(const char* at) {
    return static_cast<uint16_t>(static_cast<unsigned char>(at[0]) |
                                 (static_cast<unsigned char>(at[1]) << 8U));
}

void put_u32_at(char* at, uint32_t value) {
    for (int i = 0; i < 4; ++i) at[i] = static_cast<char>((value >> (8U * static_cast<unsigned>(i))) & 0xFF);
}

// checksum(4) magic(4) batch(4) position(2) count(2) data(496)
void seal_sector(char* at, uint32_t batch, uint16_t position, uint16_t count, core::BytesView data) {
    put_u32_at(at + 4, kMagic);
    put_u32_at(at + 8, batch);
    put_u16(at + 12, position);
    put_u16(at + 14, count);
    std::memcpy(at + kSectorHeaderBytes, data.data(), data.size());
    put_u32_at(at, core::crc32c(core::BytesView(at + 4, kSectorBytes - 4)));
}

bool is_blank(const char* at) {
    int bits = 0;
    for (size_t i = 0; i < kSectorBytes; i += sizeof(uint64_t)) {
        uint64_t word = 0;
        std::memcpy(&word, at + i, sizeof word);
        bits += std::popcount(word);
        if (bits > kBlankBitsMax) return false;
    }
    return true;
}

}  // namespace

Sector inspect_sector(const char* at) {
    Sector sector;
    const bool whole = core::get_u32(at) == core::crc32c(core::BytesView(at + 4, kSectorBytes - 4)) ||
                       SMACK_BUG("log_skip_checksums");
    if (whole && core::get_u32(at + 4) == kMagic) {
        sector.state = SectorState::kSealed;
        sector.batch = core::get_u32(at + 8);
        sector.position = get_u16(at + 12);
        sector.count = get_u16(at + 14);
        sector.data = core::BytesView(at + kSectorHeaderBytes, kSectorDataBytes);
    } else if (!is_blank(at)) {
        sector.state = SectorState::kDamaged;
    }
    return sector;
}

core::Bytes seal_batch(uint32_t batch, core::BytesView stream) {
    const size_t count = sectors_for(stream.size());
    SMACK_ASSERT(count > 0 && count <= kBatchSectorsMax);
    core::Bytes sealed(count * kSectorBytes, '\0');
    for (size_t i = 0; i < count; ++i) {
        seal_sector(sealed.data() + i * kSectorBytes, batch, static_cast<uint16_t>(i),
                    static_cast<uint16_t>(count), stream.substr(i * kSectorDataBytes, kSectorDataBytes));
    }
    return sealed;
}

core::Bytes seal_header(uint32_t first_batch, core::BytesView stream) {
    SMACK_ASSERT(stream.size() <= kSectorDataBytes);
    core::Bytes sealed(kSectorBytes, '\0');
    seal_sector(sealed.data(), first_batch, 0, 0, stream);
    return sealed;
}

}  // namespace smackd::storage
