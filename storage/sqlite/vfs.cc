#include "storage/sqlite/vfs.h"

#include <atomic>
#include <format>

#include "storage/sqlite/checksum_vfs.h"
#include "storage/sqlite/disk_vfs.h"

namespace smackd::storage::sqlite {
namespace {

/// SQLite finds a VFS by name, so each needs one of its own.
std::string next_name(std::string_view kind) {
    static std::atomic<uint64_t> counter{0};
    return std::format("smack-{}-{}", kind, counter.fetch_add(1));
}

class UnixStack final : public Vfs {
 public:
    const std::string& name() const override { return checked_.name(); }
    void forget(const std::string&) override {}

 private:
    ChecksumVfs checked_{next_name("unix"), "unix"};
};

class DiskStack final : public Vfs {
 public:
    explicit DiskStack(core::Disk& disk)
        : plain_(next_name("disk"), disk), checked_(plain_.name() + "-sum", plain_.name().c_str()) {}
    const std::string& name() const override { return checked_.name(); }
    void forget(const std::string& path) override { plain_.forget(path); }

 private:
    DiskVfs plain_;
    ChecksumVfs checked_;
};

}  // namespace

std::unique_ptr<Vfs> Vfs::over_unix() {
    return std::make_unique<UnixStack>();
}
std::unique_ptr<Vfs> Vfs::over_disk(core::Disk& disk) {
    return std::make_unique<DiskStack>(disk);
}

}  // namespace smackd::storage::sqlite
