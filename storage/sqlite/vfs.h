// SQLite's file system: page checksums over the operating system's files or over a core::Disk.
//
// Two layers. Below: SQLite's "unix" VFS, or ours over a core::Disk with WAL index and locks on the heap,
// which serves the connections of one process only. Above, always: page and WAL frame checksums (page.h).
#pragma once

#include <memory>
#include <string>

#include "core/disk.h"

namespace smackd::storage::sqlite {

/// A registered pair of layers. Every Database opened by it must be closed before it dies.
class Vfs {
 public:
    virtual ~Vfs() = default;
    /// The name SQLite knows it by; unique in the process.
    virtual const std::string& name() const = 0;
    /// Says that the files at `path` (database, "-wal") are about to be replaced: later opens share nothing
    /// with connections of before. Does nothing where the operating system tells files apart itself.
    virtual void forget(const std::string& path) = 0;

    /// Over SQLite's own unix VFS: WAL readers in other processes work (file locks, shared memory file).
    static std::unique_ptr<Vfs> over_unix();
    /// Over a core::Disk, which must outlive it. May be used by several threads when the disk may.
    static std::unique_ptr<Vfs> over_disk(core::Disk& disk);
};

/// Makes SQLite's own random numbers (WAL salts) a function of `seed`; for the simulator. `seed` is not 0.
void seed_sqlite_for_simulation(int seed);

/// The last damage a checksum found on this thread ("page 7 of /var/lib/..."), for the error's message.
const std::string& last_damage();

}  // namespace smackd::storage::sqlite
