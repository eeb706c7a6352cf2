#include "core/archive/tar_writer.h"

#include <algorithm>
#include <format>

namespace smackd::core::archive {
namespace {

constexpr size_t kBlock = 512;

// Offsets and widths of ustar's header.
struct Field {
    size_t at;
    size_t width;
};
constexpr Field kMode{100, 8}, kUid{108, 8}, kGid{116, 8}, kSize{124, 12}, kTime{136, 12}, kSum{148, 8};
constexpr size_t kTypeAt = 156, kMagicAt = 257;
constexpr std::string_view kMagic("ustar\00000", 8);

void put_octal(Bytes& header, Field field, uint64_t value) {
    const std::string text = std::format("{:0{}o}", value, field.width - 1);
    std::ranges::copy(text, header.begin() + static_cast<std::ptrdiff_t>(field.at));
}

}  // namespace

Result<void> TarWriter::add(std::string_view name, BytesView content, int64_t mtime_seconds) {
    if (name.empty() || name.size() > kTarNameMax)
        return fail(Errc::kInvalid, "'{}' must have 1 to {} bytes as a name in an archive", name,
                    kTarNameMax);
    Bytes header(kBlock, '\0');
    std::ranges::copy(name, header.begin());
    put_octal(header, kMode, 0600);
    put_octal(header, kUid, 0);
    put_octal(header, kGid, 0);
    put_octal(header, kSize, content.size());
    put_octal(header, kTime, static_cast<uint64_t>(std::max<int64_t>(mtime_seconds, 0)));
    header[kTypeAt] = '0';
    std::ranges::copy(kMagic, header.begin() + kMagicAt);
    // The sum counts its own field as blanks.
    std::ranges::fill_n(header.begin() + kSum.at, kSum.width, ' ');
    uint64_t sum = 0;
    for (const char c : header) sum += static_cast<unsigned char>(c);
    std::ranges::copy(std::format("{:06o}", sum), header.begin() + kSum.at);
    header[kSum.at + 6] = '\0';
    bytes_ += header;
    bytes_ += content;
    bytes_.append((kBlock - content.size() % kBlock) % kBlock, '\0');
    return {};
}

Bytes TarWriter::finish() {
    bytes_.append(2 * kBlock, '\0');
    return std::move(bytes_);
}

}  // namespace smackd::core::archive
