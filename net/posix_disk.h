// The real disk: POSIX files, O_CLOEXEC, files 0600, folders 0700, fdatasync, fallocate. Safe from any
// thread.
#pragma once

#include "core/disk.h"

namespace smackd::net {

class PosixDisk final : public core::Disk {
 public:
    core::Result<std::unique_ptr<core::File>> open(const std::string& path, core::OpenMode mode) override;
    core::Result<void> remove(const std::string& path) override;
    core::Result<void> rename(const std::string& from, const std::string& to) override;
    core::Result<bool> exists(const std::string& path) override;
    core::Result<std::vector<std::string>> list(const std::string& directory) override;
    core::Result<void> make_directory(const std::string& path) override;
    core::Result<void> sync_directory(const std::string& path) override;
    core::Result<uint64_t> free_bytes(const std::string& path) override;
};

}  // namespace smackd::net
