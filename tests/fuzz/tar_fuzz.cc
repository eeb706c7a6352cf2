// A layer as the unpacker reads it: decompressed, taken apart, names resolved. No crash, and cutting the
// bytes differently changes nothing.
#include <cstdlib>
#include <cstring>

#include "core/archive/path.h"
#include "core/archive/tar_reader.h"
#include "core/compress_expander.h"

namespace {

using namespace smackd::core;
using namespace smackd::core::archive;

struct Watcher final : TarSink {
    std::string seen;
    uint64_t left = 0;
    bool open = false;

    Result<void> begin(const TarMember& member) override {
        if (open) std::abort();
        open = true;
        left = member.kind == TarMember::Kind::kFile ? member.size : 0;
        TRY_ASSIGN(const PathComponents components, split_path(member.path));
        for (const std::string& component : components) {
            if (component == ".." || component == "." || component.empty()) std::abort();
            if (component.find('/') != std::string::npos || component.size() > kComponentBytesMax)
                std::abort();
        }
        if (!components.empty()) {
            auto whiteout = parse_whiteout(components.back());
            if (whiteout && whiteout->kind == Whiteout::Kind::kRemove && whiteout->name.empty()) std::abort();
        }
        seen += join_path(components) + "|" + member.target.substr(0, 100) + "|" +
                std::to_string(member.size) + "\n";
        return {};
    }
    Result<void> content(BytesView bytes) override {
        if (!open || bytes.size() > left) std::abort();
        left -= bytes.size();
        return {};
    }
    Result<void> end() override {
        if (!open || left != 0) std::abort();
        open = false;
        return {};
    }
};

std::string read(std::string_view bytes, size_t step) {
    Watcher watcher;
    TarReader reader({.bytes = 1 << 20, .members = 1000, .extension_bytes = 1 << 16}, watcher);
    Expander expander(Expander::Format::kDetect, 4 << 20,
                      [&](BytesView plain) { return reader.feed(plain); });
    bool good = true;
    for (size_t at = 0; at < bytes.size() && good; at += step)
        good = expander.write(bytes.substr(at, step)).has_value();
    good = good && expander.finish().has_value() && reader.finish().has_value();
    return good ? watcher.seen : "refused";
}

/// Makes the checksum of each header right, or nearly every input would end at the first.
std::string with_checksums(std::string_view bytes) {
    std::string tar(bytes);
    for (size_t at = 0; at + 512 <= tar.size(); at += 512) {
        if (std::memcmp(tar.data() + at + 257, "ustar", 5) != 0) continue;
        std::memset(tar.data() + at + 148, ' ', 8);
        unsigned sum = 0;
        for (size_t i = 0; i < 512; ++i) sum += static_cast<unsigned char>(tar[at + i]);
        for (size_t digit = 6; digit-- > 0; sum >>= 3U)
            tar[at + 148 + digit] = static_cast<char>('0' + (sum & 7U));
    }
    return tar;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    for (const std::string& tar : {std::string(bytes), with_checksums(bytes)}) {
        if (read(tar, tar.empty() ? 1 : tar.size()) != read(tar, 97)) std::abort();
    }
    return 0;
}
