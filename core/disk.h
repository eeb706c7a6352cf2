// The disk as a parameter. The real one is net/posix_disk, the simulated one tests/sim/disk.
//
// Calls block; whoever must not block runs them on an Executor. Durability is the caller's business:
// bytes written are safe after File::sync, and a created, renamed or removed name is safe after
// Disk::sync_directory of its folder. Errors: kDiskFull, kNotFound, kIo (and kCorrupt never: checks are the
// caller's).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "core/result.h"

namespace smackd::core {

class File {
 public:
    virtual ~File() = default;
    /// Reads up to `length` bytes at `offset` into `buffer`; fewer only at the end of the file.
    virtual Result<size_t> read_at(uint64_t offset, char* buffer, size_t length) = 0;
    /// Writes all of `bytes` at `offset`, growing the file as needed.
    virtual Result<void> write_at(uint64_t offset, BytesView bytes) = 0;
    /// Makes what was written durable (fdatasync: data and the size needed to read it).
    virtual Result<void> sync() = 0;
    virtual Result<void> truncate(uint64_t size) = 0;
    /// Reserves blocks so that writes below `size` need no new space; the file reads as zeros there.
    virtual Result<void> allocate(uint64_t size) = 0;
    virtual Result<uint64_t> size() = 0;
};

enum class OpenMode : uint8_t {
    kRead,       ///< must exist
    kReadWrite,  ///< must exist
    kCreate,     ///< read and write; made (mode 0600) when absent
    kCreateNew,  ///< read and write; kConflict when it exists
};

class Disk {
 public:
    virtual ~Disk() = default;
    virtual Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) = 0;
    /// Removing what does not exist is kNotFound.
    virtual Result<void> remove(const std::string& path) = 0;
    /// Replaces `to` atomically.
    virtual Result<void> rename(const std::string& from, const std::string& to) = 0;
    virtual Result<bool> exists(const std::string& path) = 0;
    /// The names (not paths) in a folder, sorted.
    virtual Result<std::vector<std::string>> list(const std::string& directory) = 0;
    /// Makes the folder (mode 0700) and its parents; one that exists is fine.
    virtual Result<void> make_directory(const std::string& path) = 0;
    virtual Result<void> sync_directory(const std::string& path) = 0;
    /// Bytes this process may still write on the file system of `path`.
    virtual Result<uint64_t> free_bytes(const std::string& path) = 0;
};

/// The whole file; kInvalid when it is longer than `limit` bytes.
Result<Bytes> read_file(Disk& disk, const std::string& path, uint64_t limit);
/// Replaces the file durably: temporary file beside it, sync, rename, sync of the folder.
Result<void> write_file(Disk& disk, const std::string& path, BytesView bytes);

}  // namespace smackd::core
