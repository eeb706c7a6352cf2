// Sandbox: a task's folder, into which artifacts are put without following what is in it.
#pragma once

#include <cstdint>
#include <string>

#include "core/result.h"
#include "services/images/file_descriptor.h"

namespace smackd::services::images {

/// Blocks. What earlier artifacts left is foreign: a symbolic link on the way is an error (kConflict), not a
/// way.
class Sandbox {
 public:
    static core::Result<Sandbox> open(const std::string& path, uint32_t uid, uint32_t gid);

    /// Copies `file` to `name`, which may have folders; they are made. Replaces a file of that name at once.
    core::Result<void> put_file(int file, const std::string& name, uint32_t mode);
    /// A new empty folder in the sandbox, for unpacking into: its absolute path.
    core::Result<std::string> make_staging();
    /// Moves what is in the staging folder into the sandbox; folders that both have are joined.
    core::Result<void> take_staging();
    /// Removes the staging folder and what is left in it.
    core::Result<void> drop_staging();

 private:
    Sandbox(std::string path, FileDescriptor folder, uint32_t uid, uint32_t gid)
        : path_(std::move(path)), folder_(std::move(folder)), uid_(uid), gid_(gid) {}
    core::Result<FileDescriptor> open_folder(int at, const std::string& name, bool make);
    core::Result<void> move_into(int from, int to, size_t depth);

    std::string path_;
    FileDescriptor folder_;
    uint32_t uid_;
    uint32_t gid_;
};

}  // namespace smackd::services::images
