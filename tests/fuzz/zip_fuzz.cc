// A zip as the unpacker reads it: no crash, no member out of the file or over another, sizes as announced.
#include <algorithm>
#include <cstdlib>

#include "core/archive/zip_reader.h"

using namespace smackd::core;
using namespace smackd::core::archive;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view file(reinterpret_cast<const char*>(data), size);
    ReadAt read = [&](uint64_t offset, size_t length) -> Result<Bytes> {
        if (offset > file.size() || length > file.size() - offset) return fail(Errc::kCorrupt, "cut short");
        return Bytes(file.substr(static_cast<size_t>(offset), length));
    };
    auto members =
        read_zip_directory(read, size, {.bytes = 1 << 20, .members = 1000, .directory_bytes = 1 << 20});
    if (!members) return 0;
    std::ranges::sort(*members, {}, &ZipMember::header_offset);
    for (size_t i = 0; i + 1 < members->size(); ++i) {
        const ZipMember& member = (*members)[i];
        if (member.header_offset + member.compressed_size > (*members)[i + 1].header_offset) std::abort();
    }
    for (const ZipMember& member : *members) {
        uint64_t bytes = 0;
        auto done = read_zip_member(read, member, [&](BytesView piece) -> Result<void> {
            bytes += piece.size();
            return {};
        });
        if (bytes > member.size && member.deflated) std::abort();
        if (done && bytes != member.size) std::abort();
    }
    return 0;
}
