#include "core/disk.h"

namespace smackd::core {

Result<Bytes> read_file(Disk& disk, const std::string& path, uint64_t limit) {
    TRY_ASSIGN(auto file, disk.open(path, OpenMode::kRead));
    TRY_ASSIGN(const uint64_t size, file->size());
    if (size > limit) return fail(Errc::kInvalid, "{} has {} bytes, the limit is {}", path, size, limit);
    Bytes bytes(size, '\0');
    TRY_ASSIGN(const size_t count, file->read_at(0, bytes.data(), bytes.size()));
    bytes.resize(count);
    return bytes;
}

Result<void> write_file(Disk& disk, const std::string& path, BytesView bytes) {
    const std::string temporary = path + ".new";
    {
        TRY_ASSIGN(auto file, disk.open(temporary, OpenMode::kCreate));
        TRY(file->truncate(0));
        TRY(file->write_at(0, bytes));
        TRY(file->sync());
    }
    TRY(disk.rename(temporary, path));
    const size_t slash = path.rfind('/');
    return disk.sync_directory(slash == std::string::npos ? "." : path.substr(0, slash));
}

}  // namespace smackd::core
