// ZipReader: the members of a zip file (PKWARE APPNOTE 6.3.9), stored or deflated, Zip64 too; no I/O of its
// own.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "core/callback.h"
#include "core/result.h"
#include "core/units.h"

namespace smackd::core::archive {

struct ZipLimits {
    uint64_t bytes = 16 * kGiB;  ///< of all members' contents together
    uint64_t members = 500'000;
    size_t directory_bytes = 64 * kMiB;
};

struct ZipMember {
    enum class Kind : uint8_t { kFile, kDirectory, kSymlink };
    Kind kind = Kind::kFile;
    std::string path;
    uint32_t mode = 0;  ///< permission bits; 0 when the archive was made where there are none
    uint64_t size = 0;
    uint64_t compressed_size = 0;
    uint32_t crc32 = 0;
    bool deflated = false;
    uint64_t header_offset = 0;
};

/// Reads exactly `length` bytes at `offset` of the file.
using ReadAt = Callback<Result<Bytes>(uint64_t offset, size_t length)>;

/// The central directory, which alone counts; local headers are only skipped over. kInvalid names the member
/// and the rule: encrypted, unknown method, overlapping members (bombs), a name twice.
Result<std::vector<ZipMember>> read_zip_directory(ReadAt& read_at, uint64_t file_size,
                                                  const ZipLimits& limits);

/// The content of a member, in pieces; size and CRC-32 are checked. kCorrupt.
Result<void> read_zip_member(ReadAt& read_at, const ZipMember& member, Callback<Result<void>(BytesView)> out);

}  // namespace smackd::core::archive
