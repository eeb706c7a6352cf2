#include "core/archive/zip_reader.h"

#include <algorithm>
#include <array>
#include <optional>
#include <set>

#include "core/compress_expander.h"
#include "core/planted.h"

namespace smackd::core::archive {

namespace {

constexpr uint32_t kEndMark = 0x06054b50, kEnd64Mark = 0x06064b50, kLocator64Mark = 0x07064b50;
constexpr uint32_t kCentralMark = 0x02014b50, kLocalMark = 0x04034b50;
constexpr size_t kEndBytes = 22, kLocator64Bytes = 20, kEnd64Bytes = 56, kCentralBytes = 46, kLocalBytes = 30;
constexpr size_t kCommentMax = 65535;
constexpr uint32_t kTypeMask = 0170000, kTypeLink = 0120000, kTypeDirectory = 0040000, kTypeFile = 0100000;
constexpr size_t kPieceBytes = 64 * 1024;

uint16_t u16(BytesView bytes, size_t at) {
    return static_cast<uint16_t>(static_cast<unsigned char>(bytes[at]) |
                                 static_cast<unsigned char>(bytes[at + 1]) << 8U);
}
uint32_t u32(BytesView bytes, size_t at) {
    return get_u32(bytes.data() + at);
}
uint64_t u64(BytesView bytes, size_t at) {
    return get_u64(bytes.data() + at);
}

uint32_t update_crc32(uint32_t crc, BytesView bytes) {
    static const std::array<uint32_t, 256> kTable = [] {
        std::array<uint32_t, 256> table{};
        for (uint32_t i = 0; i < 256; ++i) {
            uint32_t value = i;
            for (int bit = 0; bit < 8; ++bit) value = (value >> 1U) ^ ((value & 1U) != 0 ? 0xEDB88320U : 0U);
            table[i] = value;
        }
        return table;
    }();
    crc = ~crc;
    for (const char c : bytes) crc = kTable[(crc ^ static_cast<unsigned char>(c)) & 0xffU] ^ (crc >> 8U);
    return ~crc;
}

struct DirectoryPlace {
    uint64_t offset = 0;
    uint64_t size = 0;
    uint64_t members = 0;
};

/// The end record is looked for from behind: a comment of up to 64 KiB may follow it.
Result<DirectoryPlace> find_directory(ReadAt& read_at, uint64_t file_size) {
    if (file_size < kEndBytes) return fail(Errc::kInvalid, "zip: too short");
    const uint64_t tail_size = std::min<uint64_t>(file_size, kEndBytes + kCommentMax + kLocator64Bytes);
    const uint64_t tail_offset = file_size - tail_size;
    TRY_ASSIGN(const Bytes tail, read_at(tail_offset, static_cast<size_t>(tail_size)));
    std::optional<size_t> end;
    for (size_t at = tail.size() - kEndBytes + 1; at-- > 0 && !end;) {
        if (u32(tail, at) == kEndMark && at + kEndBytes + u16(tail, at + 20) == tail.size()) end = at;
    }
    if (!end) return fail(Errc::kInvalid, "zip: no central directory; it is cut short or no zip");
    DirectoryPlace place{u32(tail, *end + 16), u32(tail, *end + 12), u16(tail, *end + 10)};
    if (u16(tail, *end + 4) != 0 || u16(tail, *end + 6) != 0) {
        return fail(Errc::kUnsupported, "zip: archives of several disks are not supported");
    }
    const bool large = place.offset == UINT32_MAX || place.size == UINT32_MAX || place.members == UINT16_MAX;
    if (!large || *end < kLocator64Bytes || u32(tail, *end - kLocator64Bytes) != kLocator64Mark) return place;
    const uint64_t at = u64(tail, *end - kLocator64Bytes + 8);
    if (at > file_size || file_size - at < kEnd64Bytes)
        return fail(Errc::kInvalid, "zip: Zip64 record out of the file");
    TRY_ASSIGN(const Bytes record, read_at(at, kEnd64Bytes));
    if (u32(record, 0) != kEnd64Mark) return fail(Errc::kInvalid, "zip: Zip64 record is missing");
    return DirectoryPlace{u64(record, 48), u64(record, 40), u64(record, 32)};
}

/// Field 0x0001: sizes and offset that did not fit 32 bits, in this order.
Result<void> apply_zip64(BytesView extra, ZipMember& member) {
    const bool need = member.size == UINT32_MAX || member.compressed_size == UINT32_MAX ||
                      member.header_offset == UINT32_MAX;
    if (!need) return {};
    while (extra.size() >= 4) {
        const uint16_t id = u16(extra, 0);
        const uint16_t length = u16(extra, 2);
        if (length > extra.size() - 4U) break;
        BytesView field = extra.substr(4, length);
        extra.remove_prefix(4U + length);
        if (id != 1) continue;
        for (uint64_t* value : {&member.size, &member.compressed_size, &member.header_offset}) {
            if (*value != UINT32_MAX) continue;
            if (field.size() < 8) return fail(Errc::kInvalid, "zip: a Zip64 field is cut short");
            *value = u64(field, 0);
            field.remove_prefix(8);
        }
        return {};
    }
    return fail(Errc::kInvalid, "zip: a Zip64 field is missing");
}

Result<void> set_kind(BytesView header, ZipMember& member) {
    const bool unix_made = u16(header, 4) >> 8U == 3 || u16(header, 4) >> 8U == 19;
    const uint32_t mode = unix_made ? u32(header, 38) >> 16U : 0;
    member.mode = mode & 0777U;
    const uint32_t type = mode & kTypeMask;
    if (type == kTypeLink) member.kind = ZipMember::Kind::kSymlink;
    if (member.path.ends_with('/') || type == kTypeDirectory) member.kind = ZipMember::Kind::kDirectory;
    if (type != 0 && type != kTypeLink && type != kTypeDirectory && type != kTypeFile) {
        return fail(Errc::kUnsupported, "zip: '{}' is no file, folder or symbolic link",
                    member.path.substr(0, 200));
    }
    return {};
}

Result<ZipMember> parse_central(BytesView& directory) {
    if (directory.size() < kCentralBytes || u32(directory, 0) != kCentralMark) {
        return fail(Errc::kInvalid, "zip: the central directory is damaged");
    }
    const size_t name_bytes = u16(directory, 28);
    const size_t extra_bytes = u16(directory, 30);
    const size_t whole = kCentralBytes + name_bytes + extra_bytes + u16(directory, 32);
    if (whole > directory.size()) return fail(Errc::kInvalid, "zip: the central directory is cut short");
    ZipMember member;
    member.path = directory.substr(kCentralBytes, name_bytes);
    const uint16_t flags = u16(directory, 8);
    const uint16_t method = u16(directory, 10);
    member.crc32 = u32(directory, 16);
    member.compressed_size = u32(directory, 20);
    member.size = u32(directory, 24);
    member.header_offset = u32(directory, 42);
    TRY(apply_zip64(directory.substr(kCentralBytes + name_bytes, extra_bytes), member));
    const std::string shown = member.path.substr(0, 200);
    if ((flags & 0x2041U) != 0) return fail(Errc::kUnsupported, "zip: '{}' is encrypted", shown);
    if (method != 0 && method != 8)
        return fail(Errc::kUnsupported, "zip: '{}' is neither stored nor deflated", shown);
    member.deflated = method == 8;
    if (!member.deflated && member.size != member.compressed_size) {
        return fail(Errc::kInvalid, "zip: '{}' is stored with two sizes", shown);
    }
    TRY(set_kind(directory, member));
    directory.remove_prefix(whole);
    return member;
}

/// Members that share bytes are how a small file becomes petabytes ("a better zip bomb", Fifield 2019).
Result<void> check_overlaps(std::vector<ZipMember> members, uint64_t directory_offset) {
    std::ranges::sort(members, {}, &ZipMember::header_offset);
    for (size_t i = 0; i < members.size(); ++i) {
        const uint64_t begin = members[i].header_offset;
        const uint64_t limit = i + 1 < members.size() ? members[i + 1].header_offset : directory_offset;
        if (begin > limit || limit - begin < kLocalBytes ||
            limit - begin - kLocalBytes < members[i].compressed_size) {
            return fail(Errc::kInvalid, "zip: '{}' overlaps another member", members[i].path.substr(0, 200));
        }
    }
    return {};
}

Result<void> check_totals(const std::vector<ZipMember>& members, const ZipLimits& limits) {
    uint64_t bytes = 0;
    std::set<std::string_view> names;
    for (const ZipMember& member : members) {
        if (!names.insert(member.path).second) {
            return fail(Errc::kInvalid, "zip: '{}' stands twice", member.path.substr(0, 200));
        }
        if (member.size > limits.bytes - bytes)
            return fail(Errc::kInvalid, "zip: contents are more than {} bytes", limits.bytes);
        bytes += member.size;
    }
    return {};
}

}  // namespace

Result<std::vector<ZipMember>> read_zip_directory(ReadAt& read_at, uint64_t file_size,
                                                  const ZipLimits& limits) {
    TRY_ASSIGN(const DirectoryPlace place, find_directory(read_at, file_size));
    if (place.members > limits.members || place.size > limits.directory_bytes) {
        return fail(Errc::kInvalid, "zip: more than {} members", limits.members);
    }
    if (place.offset > file_size || place.size > file_size - place.offset) {
        return fail(Errc::kInvalid, "zip: the central directory is out of the file");
    }
    TRY_ASSIGN(const Bytes bytes, read_at(place.offset, static_cast<size_t>(place.size)));
    BytesView directory = bytes;
    std::vector<ZipMember> members;
    for (uint64_t i = 0; i < place.members; ++i) {
        TRY_ASSIGN(ZipMember member, parse_central(directory));
        members.push_back(std::move(member));
    }
    TRY(check_totals(members, limits));
    if (!SMACK_BUG("fuzz_zip")) TRY(check_overlaps(members, place.offset));
    return members;
}

Result<void> read_zip_member(ReadAt& read_at, const ZipMember& member,
                             Callback<Result<void>(BytesView)> out) {
    TRY_ASSIGN(const Bytes header, read_at(member.header_offset, kLocalBytes));
    if (u32(header, 0) != kLocalMark)
        return fail(Errc::kCorrupt, "zip: '{}' is not where it should be", member.path.substr(0, 200));
    uint64_t at = member.header_offset + kLocalBytes + u16(header, 26) + u16(header, 28);
    uint32_t crc = 0;
    Expander expander(Expander::Format::kDeflate, member.size, [&](BytesView plain) -> Result<void> {
        crc = update_crc32(crc, plain);
        return out(plain);
    });
    uint64_t stored = 0;
    for (uint64_t left = member.compressed_size; left > 0;) {
        const auto length = static_cast<size_t>(std::min<uint64_t>(left, kPieceBytes));
        TRY_ASSIGN(const Bytes piece, read_at(at, length));
        at += length;
        left -= length;
        if (member.deflated) {
            TRY(expander.write(piece));
            continue;
        }
        stored += length;
        crc = update_crc32(crc, piece);
        TRY(out(piece));
    }
    if (member.deflated) TRY(expander.finish());
    const uint64_t size = member.deflated ? expander.bytes_out() : stored;
    if (size != member.size || crc != member.crc32) {
        return fail(Errc::kCorrupt, "zip: '{}' does not have its size or CRC-32", member.path.substr(0, 200));
    }
    return {};
}

}  // namespace smackd::core::archive
