#include "storage/sqlite/disk_vfs.h"

#include <cstring>

#include "core/assert.h"

namespace smackd::storage::sqlite {
namespace {

/// Noon of 2000-01-01 as a Julian day in milliseconds: apply must not learn the time from SQLite.
constexpr sqlite3_int64 kFixedTime = 2451545LL * 86400000LL;

/// What SQLite allocates for us; it knows no destructors, so the rest is behind a pointer.
struct DiskFile {
    struct State {
        std::unique_ptr<core::File> file;
        std::shared_ptr<SharedFile> shared;
        SharedFile::Holder holder;
    };
    sqlite3_file base;
    State* state;
};

DiskFile::State& state_of(sqlite3_file* file) {
    return *reinterpret_cast<DiskFile*>(file)->state;
}
DiskVfs& self(sqlite3_vfs* vfs) {
    return *static_cast<DiskVfs*>(vfs->pAppData);
}

int code_of(const core::Error& error, int otherwise) {
    return error.code == core::Errc::kDiskFull ? SQLITE_FULL : otherwise;
}

template <class T>
int finish(const core::Result<T>& result, int otherwise) {
    return result ? SQLITE_OK : code_of(result.error(), otherwise);
}

int disk_close(sqlite3_file* file) {
    DiskFile::State& state = state_of(file);
    state.shared->unmap(state.holder);
    state.shared->unlock(state.holder, SQLITE_LOCK_NONE);
    delete &state;
    file->pMethods = nullptr;
    return SQLITE_OK;
}

int disk_read(sqlite3_file* file, void* buffer, int amount, sqlite3_int64 offset) {
    char* bytes = static_cast<char*>(buffer);
    const auto wanted = static_cast<size_t>(amount);
    const auto got = state_of(file).file->read_at(static_cast<uint64_t>(offset), bytes, wanted);
    if (!got) return SQLITE_IOERR_READ;
    if (*got == wanted) return SQLITE_OK;
    std::memset(bytes + *got, 0, wanted - *got);
    return SQLITE_IOERR_SHORT_READ;
}

int disk_write(sqlite3_file* file, const void* buffer, int amount, sqlite3_int64 offset) {
    const core::BytesView bytes(static_cast<const char*>(buffer), static_cast<size_t>(amount));
    return finish(state_of(file).file->write_at(static_cast<uint64_t>(offset), bytes), SQLITE_IOERR_WRITE);
}

int disk_truncate(sqlite3_file* file, sqlite3_int64 size) {
    return finish(state_of(file).file->truncate(static_cast<uint64_t>(size)), SQLITE_IOERR_TRUNCATE);
}

int disk_sync(sqlite3_file* file, int) {
    return finish(state_of(file).file->sync(), SQLITE_IOERR_FSYNC);
}

int disk_file_size(sqlite3_file* file, sqlite3_int64* size) {
    const auto result = state_of(file).file->size();
    if (!result) return SQLITE_IOERR_FSTAT;
    *size = static_cast<sqlite3_int64>(*result);
    return SQLITE_OK;
}

int disk_lock(sqlite3_file* file, int level) {
    DiskFile::State& state = state_of(file);
    return state.shared->lock(state.holder, level);
}

int disk_unlock(sqlite3_file* file, int level) {
    DiskFile::State& state = state_of(file);
    return state.shared->unlock(state.holder, level);
}

int disk_check_reserved(sqlite3_file* file, int* out) {
    *out = state_of(file).shared->reserved() ? 1 : 0;
    return SQLITE_OK;
}

int disk_control(sqlite3_file*, int, void*) {
    return SQLITE_NOTFOUND;
}
int disk_sector_size(sqlite3_file*) {
    return 4096;
}
/// A torn write leaves the bytes around it alone, which saves padding the WAL to sectors.
int disk_characteristics(sqlite3_file*) {
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

int disk_shm_map(sqlite3_file* file, int region, int size, int extend, void volatile** out) {
    DiskFile::State& state = state_of(file);
    *out = state.shared->map(state.holder, region, static_cast<size_t>(size), extend != 0);
    return SQLITE_OK;
}

int disk_shm_lock(sqlite3_file* file, int offset, int count, int flags) {
    DiskFile::State& state = state_of(file);
    return state.shared->lock_slots(state.holder, offset, count, flags);
}

void disk_shm_barrier(sqlite3_file* file) {
    state_of(file).shared->barrier();
}

int disk_shm_unmap(sqlite3_file* file, int) {
    DiskFile::State& state = state_of(file);
    state.shared->unmap(state.holder);
    return SQLITE_OK;
}

constexpr sqlite3_io_methods kMethods = {
    .iVersion = 2,
    .xClose = disk_close,
    .xRead = disk_read,
    .xWrite = disk_write,
    .xTruncate = disk_truncate,
    .xSync = disk_sync,
    .xFileSize = disk_file_size,
    .xLock = disk_lock,
    .xUnlock = disk_unlock,
    .xCheckReservedLock = disk_check_reserved,
    .xFileControl = disk_control,
    .xSectorSize = disk_sector_size,
    .xDeviceCharacteristics = disk_characteristics,
    .xShmMap = disk_shm_map,
    .xShmLock = disk_shm_lock,
    .xShmBarrier = disk_shm_barrier,
    .xShmUnmap = disk_shm_unmap,
    .xFetch = nullptr,
    .xUnfetch = nullptr,
};

core::OpenMode mode_of(int flags) {
    if ((flags & SQLITE_OPEN_READONLY) != 0) return core::OpenMode::kRead;
    if ((flags & SQLITE_OPEN_EXCLUSIVE) != 0) return core::OpenMode::kCreateNew;
    return (flags & SQLITE_OPEN_CREATE) != 0 ? core::OpenMode::kCreate : core::OpenMode::kReadWrite;
}

int vfs_open(sqlite3_vfs* vfs, const char* path, sqlite3_file* file, int flags, int* out_flags) {
    file->pMethods = nullptr;
    if (path == nullptr) return SQLITE_CANTOPEN;  // temporary files: we keep those in memory
    auto opened = self(vfs).disk().open(path, mode_of(flags));
    if (!opened) return code_of(opened.error(), SQLITE_CANTOPEN);
    auto state = std::make_unique<DiskFile::State>();
    state->file = std::move(*opened);
    state->shared = self(vfs).shared(path);
    reinterpret_cast<DiskFile*>(file)->state = state.release();
    file->pMethods = &kMethods;
    if (out_flags != nullptr) *out_flags = flags;
    return SQLITE_OK;
}

int vfs_delete(sqlite3_vfs* vfs, const char* path, int sync_directory) {
    core::Disk& disk = self(vfs).disk();
    if (auto removed = disk.remove(path); !removed) {
        return removed.error().code == core::Errc::kNotFound ? SQLITE_IOERR_DELETE_NOENT
                                                             : SQLITE_IOERR_DELETE;
    }
    const std::string name(path);
    const size_t slash = name.rfind('/');
    if (sync_directory == 0 || slash == std::string::npos) return SQLITE_OK;
    return finish(disk.sync_directory(name.substr(0, slash)), SQLITE_IOERR_DIR_FSYNC);
}

int vfs_access(sqlite3_vfs* vfs, const char* path, int, int* out) {
    const auto exists = self(vfs).disk().exists(path);
    if (!exists) return SQLITE_IOERR_ACCESS;
    *out = *exists ? 1 : 0;
    return SQLITE_OK;
}

int vfs_full_path(sqlite3_vfs*, const char* path, int size, char* out) {
    const size_t length = std::strlen(path);
    if (length >= static_cast<size_t>(size)) return SQLITE_CANTOPEN;
    std::memcpy(out, path, length + 1);
    return SQLITE_OK;
}

int vfs_randomness(sqlite3_vfs*, int size, char* out) {
    std::memset(out, 0x5A, static_cast<size_t>(size));
    return size;
}
int vfs_sleep(sqlite3_vfs*, int microseconds) {
    return microseconds;
}
int vfs_time_ms(sqlite3_vfs*, sqlite3_int64* out) {
    *out = kFixedTime;
    return SQLITE_OK;
}
int vfs_time(sqlite3_vfs*, double* out) {
    *out = static_cast<double>(kFixedTime) / 86400000.0;
    return SQLITE_OK;
}
int vfs_last_error(sqlite3_vfs*, int, char*) {
    return 0;
}

}  // namespace

DiskVfs::DiskVfs(std::string name, core::Disk& disk) : name_(std::move(name)), disk_(disk) {
    vfs_.iVersion = 2;
    vfs_.szOsFile = sizeof(DiskFile);
    vfs_.mxPathname = 1024;
    vfs_.zName = name_.c_str();
    vfs_.pAppData = this;
    vfs_.xOpen = vfs_open;
    vfs_.xDelete = vfs_delete;
    vfs_.xAccess = vfs_access;
    vfs_.xFullPathname = vfs_full_path;
    vfs_.xRandomness = vfs_randomness;
    vfs_.xSleep = vfs_sleep;
    vfs_.xCurrentTime = vfs_time;
    vfs_.xGetLastError = vfs_last_error;
    vfs_.xCurrentTimeInt64 = vfs_time_ms;
    SMACK_ASSERT(sqlite3_vfs_register(&vfs_, 0) == SQLITE_OK);
}

DiskVfs::~DiskVfs() {
    sqlite3_vfs_unregister(&vfs_);
}

std::shared_ptr<SharedFile> DiskVfs::shared(const std::string& path) {
    const std::scoped_lock lock(mutex_);
    std::weak_ptr<SharedFile>& slot = files_[path];
    auto file = slot.lock();
    if (!file) slot = file = std::make_shared<SharedFile>();
    return file;
}

void DiskVfs::forget(const std::string& path) {
    const std::scoped_lock lock(mutex_);
    files_.erase(path);
}

}  // namespace smackd::storage::sqlite
