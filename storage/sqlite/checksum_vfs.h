// The upper layer of vfs.h: a shim that seals pages when they are written and checks them when they are read.
#pragma once

#include <sqlite3.h>

#include <string>

namespace smackd::storage::sqlite {

/// Registers itself over the VFS named `base` until it is destroyed.
class ChecksumVfs {
 public:
    ChecksumVfs(std::string name, const char* base);
    ChecksumVfs(const ChecksumVfs&) = delete;
    ChecksumVfs& operator=(const ChecksumVfs&) = delete;
    ~ChecksumVfs();
    const std::string& name() const { return name_; }

 private:
    std::string name_;
    sqlite3_vfs vfs_{};
};

}  // namespace smackd::storage::sqlite
