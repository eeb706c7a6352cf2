#include "core/archive/tar_reader.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "core/archive/path.h"

namespace smackd::core::archive {

namespace {

constexpr size_t kBlock = 512;
constexpr uint32_t kModeBits = 07777;
constexpr size_t kXattrsMax = 64;
constexpr size_t kXattrNameMax = 255;
constexpr size_t kXattrValueMax = 64 * kKiB;  // XATTR_SIZE_MAX

/// A field of the header (POSIX.1-2008 pax, "ustar Interchange Format"): offset and length.
struct Field {
    size_t at;
    size_t length;
    BytesView of(BytesView block) const { return block.substr(at, length); }
};
constexpr Field kName{0, 100}, kMode{100, 8}, kUid{108, 8}, kGid{116, 8}, kSize{124, 12}, kMtime{136, 12},
    kChecksum{148, 8}, kType{156, 1}, kLink{157, 100}, kMagic{257, 6}, kPrefix{345, 155};

std::string_view until_nul(BytesView field) {
    return field.substr(0, field.find('\0'));
}

/// Octal with blanks or NULs around it, or GNU's base 256 (first bit set).
Result<int64_t> number(BytesView field, std::string_view what) {
    const auto first = static_cast<unsigned char>(field[0]);
    if ((first & 0x80U) != 0) {
        // Two's complement of the bits behind the mark; what does not fit 63 bits is refused.
        const bool negative = (first & 0x40U) != 0;
        uint64_t value = negative ? ~uint64_t{0} : 0;
        for (size_t i = 0; i < field.size(); ++i) {
            auto byte = static_cast<unsigned char>(field[i]);
            if (i == 0) byte = negative ? byte : byte & 0x7fU;
            const uint64_t top = value >> 55U;
            if (i > 0 && top != (negative ? 0x1ffU : 0U)) {
                return fail(Errc::kInvalid, "{} does not fit 63 bits", what);
            }
            value = (value << 8U) | byte;
        }
        return static_cast<int64_t>(value);
    }
    size_t at = 0;
    while (at < field.size() && field[at] == ' ') ++at;
    int64_t value = 0;
    for (; at < field.size() && field[at] >= '0' && field[at] <= '7'; ++at)
        value = value * 8 + (field[at] - '0');
    for (; at < field.size(); ++at) {
        if (field[at] != ' ' && field[at] != '\0') return fail(Errc::kInvalid, "{} is not a number", what);
    }
    return value;
}

Result<uint64_t> unsigned_number(BytesView field, std::string_view what, uint64_t max) {
    TRY_ASSIGN(const int64_t value, number(field, what));
    if (value < 0 || static_cast<uint64_t>(value) > max)
        return fail(Errc::kInvalid, "{} is out of range", what);
    return static_cast<uint64_t>(value);
}

Result<uint64_t> decimal(std::string_view text, std::string_view what, uint64_t max) {
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc() || end != text.data() + text.size() || value > max) {
        return fail(Errc::kInvalid, "pax: {} is not a number in range", what);
    }
    return value;
}

bool good_checksum(BytesView block) {
    auto stored = number(kChecksum.of(block), "the checksum");
    if (!stored) return false;
    int64_t sum = 0;
    int64_t signed_sum = 0;  // some old programs added signed bytes
    for (size_t i = 0; i < kBlock; ++i) {
        const bool own = i >= kChecksum.at && i < kChecksum.at + kChecksum.length;
        const char c = own ? ' ' : block[i];
        sum += static_cast<unsigned char>(c);
        signed_sum += static_cast<signed char>(c);
    }
    return *stored == sum || *stored == signed_sum;
}

std::string full_name(BytesView block) {
    std::string name(until_nul(kName.of(block)));
    // The prefix is POSIX's; GNU ("ustar  ") has other things there.
    if (kMagic.of(block) != BytesView("ustar\0", 6)) return name;
    const std::string_view prefix = until_nul(kPrefix.of(block));
    return prefix.empty() ? name : std::string(prefix) + "/" + name;
}

Result<TarMember::Kind> kind_of(char type, std::string_view path) {
    switch (type) {
        case '0':
        case '\0':
        case '7':  // contiguous: a file
            return TarMember::Kind::kFile;
        case '1':
            return TarMember::Kind::kHardLink;
        case '2':
            return TarMember::Kind::kSymlink;
        case '3':
        case '4':
            return TarMember::Kind::kDevice;
        case '5':
            return TarMember::Kind::kDirectory;
        case '6':
            return TarMember::Kind::kFifo;
        case 'S':
            return fail(Errc::kUnsupported, "tar: '{}' is a sparse file; make the archive without --sparse",
                        path);
        default:
            return fail(Errc::kUnsupported, "tar: '{}' is of an unknown kind (type flag {})", path,
                        static_cast<int>(static_cast<unsigned char>(type)));
    }
}

uint64_t padding_of(uint64_t size) {
    return (kBlock - size % kBlock) % kBlock;
}

bool all_zero(BytesView block) {
    return std::ranges::all_of(block, [](char c) { return c == '\0'; });
}

/// "1700000000.25": seconds and nanoseconds, also negative.
Result<void> parse_time(const std::string& value, TarMember& member) {
    const size_t dot = value.find('.');
    const std::string whole = value.substr(0, dot);
    const auto [end, error] =
        std::from_chars(whole.data(), whole.data() + whole.size(), member.mtime_seconds);
    if (error != std::errc() || end != whole.data() + whole.size())
        return fail(Errc::kInvalid, "pax: mtime is no time");
    member.mtime_nanoseconds = 0;
    if (dot == std::string::npos) return {};
    std::string digits = value.substr(dot + 1, 9);
    digits.resize(9, '0');
    TRY_ASSIGN(const uint64_t nanoseconds, decimal(digits, "mtime", 999'999'999));
    member.mtime_nanoseconds = static_cast<uint32_t>(nanoseconds);
    return {};
}

}  // namespace

std::string_view TarReader::current() const {
    return std::string_view(path_).substr(0, 200);
}

Result<void> TarReader::feed(BytesView bytes) {
    while (!bytes.empty()) {
        if (state_ == State::kTrailer) {
            return {};  // what follows the two zero blocks is filling
        }
        if (state_ == State::kHeader) {
            const size_t taken = std::min(kBlock - block_.size(), bytes.size());
            block_.append(bytes.substr(0, taken));
            bytes.remove_prefix(taken);
            if (block_.size() < kBlock) return {};
            const Bytes block = std::exchange(block_, {});
            TRY(take_header(block));
            continue;
        }
        const auto taken = static_cast<size_t>(std::min<uint64_t>(left_, bytes.size()));
        const BytesView piece = bytes.substr(0, taken);
        bytes.remove_prefix(taken);
        left_ -= taken;
        if (state_ == State::kContent && taken > 0) TRY(sink_.content(piece));
        if (state_ == State::kExtension) extension_.append(piece);
        if (left_ > 0) return {};
        if (state_ == State::kContent) TRY(end_content());
        if (state_ == State::kExtension) TRY(end_extension());
        if (state_ != State::kPadding) {
            left_ = padding_;
            state_ = State::kPadding;
        } else {
            state_ = State::kHeader;
        }
        if (state_ == State::kPadding && left_ == 0) state_ = State::kHeader;
    }
    return {};
}

Result<void> TarReader::finish() {
    const bool between = state_ == State::kHeader && block_.empty();
    if (state_ == State::kTrailer || (between && (members_ > 0 || zero_block_))) return {};
    if (state_ == State::kPadding) return {};  // some writers forget the last padding
    return fail(Errc::kInvalid, "tar: cut short{}{}", path_.empty() ? "" : " in ", current());
}

Result<void> TarReader::take_header(BytesView block) {
    if (all_zero(block)) {
        if (std::exchange(zero_block_, true)) state_ = State::kTrailer;
        return {};
    }
    zero_block_ = false;
    if (!good_checksum(block))
        return fail(Errc::kInvalid, "tar: a header's checksum is wrong (after '{}')", current());
    const char type = kType.of(block)[0];
    auto size = unsigned_number(kSize.of(block), "size", INT64_MAX);
    if (!size) return pass(std::move(size), "tar");
    if (type == 'x' || type == 'g' || type == 'L' || type == 'K') return begin_extension(type, *size);
    return begin_member(block, type, *size);
}

Result<void> TarReader::begin_extension(char type, uint64_t size) {
    if (size == 0 || size > limits_.extension_bytes) {
        return fail(Errc::kInvalid, "tar: an extended header must have 1 to {} bytes",
                    limits_.extension_bytes);
    }
    extension_.clear();
    extension_type_ = type;
    left_ = size;
    padding_ = padding_of(size);
    state_ = State::kExtension;
    return {};
}

Result<void> TarReader::end_extension() {
    switch (extension_type_) {
        case 'L':
            long_name_ = until_nul(extension_);
            return {};
        case 'K':
            long_target_ = until_nul(extension_);
            return {};
        case 'g':
            return parse_records(global_);
        default:
            local_.clear();
            return parse_records(local_);
    }
}

/// "LENGTH KEY=VALUE\n", LENGTH counting itself.
Result<void> TarReader::parse_records(Records& into) {
    std::string_view rest = extension_;
    while (!rest.empty() && rest.front() != '\0') {
        size_t length = 0;
        const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), length);
        const auto digits = static_cast<size_t>(end - rest.data());
        const bool good = error == std::errc() && digits < rest.size() && rest[digits] == ' ' &&
                          length <= rest.size() && length > digits + 2 && rest[length - 1] == '\n';
        if (!good) return fail(Errc::kInvalid, "pax: a record is malformed (after '{}')", current());
        const std::string_view record = rest.substr(digits + 1, length - digits - 2);
        rest.remove_prefix(length);
        const size_t equals = record.find('=');
        if (equals == std::string_view::npos || equals == 0)
            return fail(Errc::kInvalid, "pax: a record has no key");
        into.insert_or_assign(std::string(record.substr(0, equals)), std::string(record.substr(equals + 1)));
        if (into.size() > 1000) return fail(Errc::kInvalid, "pax: more than 1000 records");
    }
    return {};
}

Result<void> TarReader::apply_record(TarMember& member, std::string_view name, const std::string& value) {
    constexpr std::string_view kXattr = "SCHILY.xattr.";
    if (name.starts_with("GNU.sparse.")) {
        return fail(Errc::kUnsupported, "tar: '{}' is a sparse file; make the archive without --sparse",
                    member.path.substr(0, 200));
    }
    if (name == "path") member.path = value;
    if (name == "linkpath") member.target = value;
    if (name == "mtime") return parse_time(value, member);
    if (name == "uid" || name == "gid") {
        TRY_ASSIGN(const uint64_t id, decimal(value, name, UINT32_MAX - 1));
        (name == "uid" ? member.uid : member.gid) = static_cast<uint32_t>(id);
    }
    if (name == "size") {
        TRY_ASSIGN(member.size, decimal(value, name, INT64_MAX));
    }
    if (!name.starts_with(kXattr)) return {};
    name.remove_prefix(kXattr.size());
    if (name.empty() || name.size() > kXattrNameMax || name.find('\0') != std::string_view::npos ||
        value.size() > kXattrValueMax || member.xattrs.size() >= kXattrsMax) {
        return fail(Errc::kInvalid,
                    "pax: an extended attribute is longer than the kernel takes, or there are over {}",
                    kXattrsMax);
    }
    member.xattrs.insert_or_assign(std::string(name), value);
    return {};
}

Result<void> TarReader::apply_records(TarMember& member) {
    for (const auto& [name, value] : global_) {
        if (!local_.contains(name)) TRY(apply_record(member, name, value));
    }
    for (const auto& [name, value] : local_) TRY(apply_record(member, name, value));
    local_.clear();
    return {};
}

Result<void> TarReader::begin_member(BytesView block, char type, uint64_t size) {
    TarMember member;
    member.path = long_name_.empty() ? full_name(block) : std::exchange(long_name_, {});
    member.target =
        long_target_.empty() ? std::string(until_nul(kLink.of(block))) : std::exchange(long_target_, {});
    member.size = size;
    path_ = member.path;
    TRY_ASSIGN(const uint64_t mode, unsigned_number(kMode.of(block), "tar: mode", INT64_MAX));
    TRY_ASSIGN(const uint64_t uid, unsigned_number(kUid.of(block), "tar: uid", UINT32_MAX - 1));
    TRY_ASSIGN(const uint64_t gid, unsigned_number(kGid.of(block), "tar: gid", UINT32_MAX - 1));
    TRY_ASSIGN(member.mtime_seconds, number(kMtime.of(block), "tar: mtime"));
    member.mode = static_cast<uint32_t>(mode) & kModeBits;
    member.uid = static_cast<uint32_t>(uid);
    member.gid = static_cast<uint32_t>(gid);
    TRY(apply_records(member));
    path_ = member.path;
    TRY_ASSIGN(member.kind, kind_of(type, current()));
    // Before POSIX a directory was a file whose name ends in a slash.
    if (member.kind == TarMember::Kind::kFile && member.path.ends_with('/'))
        member.kind = TarMember::Kind::kDirectory;
    if (member.kind != TarMember::Kind::kFile) {
        // pax allows content behind a hard link; no image writer makes any, and two readers might disagree.
        if (member.size != 0 && member.kind == TarMember::Kind::kHardLink) {
            return fail(Errc::kUnsupported, "tar: hard link '{}' has content", current());
        }
        if (member.kind == TarMember::Kind::kDirectory || member.kind == TarMember::Kind::kSymlink)
            member.size = 0;
        if (member.size != 0) return fail(Errc::kInvalid, "tar: '{}' has content and is no file", current());
    }
    if (++members_ > limits_.members)
        return fail(Errc::kInvalid, "tar: more than {} members", limits_.members);
    if (member.size > limits_.bytes || content_bytes_ > limits_.bytes - member.size) {
        return fail(Errc::kInvalid, "tar: contents are more than {} bytes", limits_.bytes);
    }
    content_bytes_ += member.size;
    TRY(sink_.begin(member));
    left_ = member.size;
    padding_ = padding_of(member.size);
    state_ = State::kContent;
    if (left_ > 0) return {};
    state_ = State::kHeader;
    return sink_.end();
}

Result<void> TarReader::end_content() {
    return sink_.end();
}

}  // namespace smackd::core::archive
