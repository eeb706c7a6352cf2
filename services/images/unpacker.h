// Unpacker: archives into folders, by a confined child (`smackd unpack`).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/images/digest.h"
#include "core/units.h"
#include "net/loop.h"
#include "net/task.h"
#include "net/worker_pool.h"

namespace smackd::services::images {

struct UnpackJob {
    enum class Kind : uint8_t { kLayer, kTar, kZip };
    Kind kind = Kind::kLayer;
    std::string archive;    ///< path of a file; plain, gzip or zstd for the tar kinds
    std::string directory;  ///< absolute, exists, empty
    uint64_t bytes_max = 16 * core::kGiB;
    uint32_t uid = 0;  ///< not for layers
    uint32_t gid = 0;
    core::Duration limit = std::chrono::minutes(30);
};

struct UnpackReport {
    std::optional<core::images::Digest> diff_id;  ///< of the plain tar, as the child says
    uint64_t bytes = 0;
    uint64_t members = 0;
    uint64_t devices_skipped = 0;
};

/// Fills the directory and syncs it. On error what is in it is of no use. Runs on `workers`; ends soon when
/// cancelled. kInvalid, kCorrupt, kUnsupported for the archive; kDiskFull; kTimeout; kIo.
net::Task<core::Result<UnpackReport>> unpack(net::Loop& loop, net::WorkerPool& workers, std::string program,
                                             UnpackJob job);

}  // namespace smackd::services::images
