#include "storage/sqlite/checksum_vfs.h"

#include <array>
#include <cstring>
#include <format>
#include <memory>

#include "core/assert.h"
#include "storage/sqlite/page.h"
#include "storage/sqlite/vfs.h"
#include "storage/sqlite/wal.h"

namespace smackd::storage::sqlite {
namespace {

enum class Kind : int { kOther, kDatabase, kWal };

/// What SQLite allocates for us; the file of the base VFS lies right behind it.
struct ShimFile {
    sqlite3_file base;
    const char* path;  // SQLite keeps it alive as long as the file
    sqlite3_vfs* below;
    Kind kind;
    int refusal;  // why nothing may be copied from the WAL now; SQLITE_OK: it may
    bool sync_failed;
};
static_assert(sizeof(ShimFile) % 8 == 0);

thread_local std::string damage;  // NOLINT(cert-err58-cpp): empty string

ShimFile* shim(sqlite3_file* file) {
    return reinterpret_cast<ShimFile*>(file);
}
sqlite3_file* real(sqlite3_file* file) {
    return reinterpret_cast<sqlite3_file*>(shim(file) + 1);
}
sqlite3_vfs* base_of(sqlite3_vfs* vfs) {
    return static_cast<sqlite3_vfs*>(vfs->pAppData);
}

int report(const ShimFile* file, std::string what) {
    damage = std::move(what) + " of " + (file->path != nullptr ? file->path : "a temporary file");
    return SQLITE_IOERR_DATA;
}

constexpr sqlite3_int64 kHeader = kWalHeaderBytes;
constexpr sqlite3_int64 kFrameHeader = kWalFrameHeaderBytes;
constexpr sqlite3_int64 kFrame = kWalFrameBytes;

bool is_frame_page(int amount, sqlite3_int64 offset) {
    constexpr sqlite3_int64 kFirst = kHeader + kFrameHeader;
    return amount == static_cast<int>(kPageBytes) && offset >= kFirst && (offset - kFirst) % kFrame == 0;
}

int check_frame(sqlite3_file* file, const char* page, sqlite3_int64 page_offset) {
    const sqlite3_int64 header_offset = page_offset - kFrameHeader;
    const sqlite3_int64 previous_offset = header_offset == kHeader ? 24 : header_offset - kFrame + 16;
    std::array<char, 8> previous{};
    std::array<char, kWalFrameHeaderBytes> header{};
    int rc = real(file)->pMethods->xRead(real(file), previous.data(), previous.size(), previous_offset);
    if (rc == SQLITE_OK)
        rc = real(file)->pMethods->xRead(real(file), header.data(), header.size(), header_offset);
    if (rc != SQLITE_OK) return rc;
    if (frame_is_sound(previous.data(), header.data(), page)) return SQLITE_OK;
    return report(shim(file), std::format("WAL frame {}", header_offset / kFrame + 1));
}

/// The header (100 bytes) and its change counter are read before SQLite knows the page size; page 1 is read
/// whole before anything else in it is used.
bool is_header_read(int amount, sqlite3_int64 offset) {
    return (offset == 0 && amount == 100) || (offset == 24 && amount == 16);
}

int check_page(const ShimFile* file, const char* page, sqlite3_int64 page_index) {
    const auto number = static_cast<uint32_t>(page_index + 1);
    if (page_is_sound(page, number)) return SQLITE_OK;
    return report(file, std::format("page {}", number));
}

/// SQLite reads long values past its cache, from the middle of a page: the whole page is checked for it.
int read_part(sqlite3_file* file, char* buffer, int amount, sqlite3_int64 offset) {
    constexpr auto kPage = static_cast<sqlite3_int64>(kPageBytes);
    const sqlite3_int64 index = offset / kPage;
    const sqlite3_int64 start = offset % kPage;
    if (start + amount > kPage) return report(shim(file), "the page size in the header");
    std::array<char, kPageBytes> page;
    const int rc =
        real(file)->pMethods->xRead(real(file), page.data(), static_cast<int>(kPageBytes), index * kPage);
    if (rc != SQLITE_OK && rc != SQLITE_IOERR_SHORT_READ) return rc;
    std::memcpy(buffer, page.data() + start, static_cast<size_t>(amount));
    return rc == SQLITE_OK ? check_page(shim(file), page.data(), index) : rc;
}

int read_database(sqlite3_file* file, char* buffer, int amount, sqlite3_int64 offset) {
    const bool whole = amount == static_cast<int>(kPageBytes) && offset % amount == 0;
    if (!whole && !is_header_read(amount, offset)) return read_part(file, buffer, amount, offset);
    const int rc = real(file)->pMethods->xRead(real(file), buffer, amount, offset);
    return rc == SQLITE_OK && whole ? check_page(shim(file), buffer, offset / amount) : rc;
}

/// What a checkpoint that begins says in the WAL index (walformat.html, sections 2.1 and 2.2).
int read_backfill(sqlite3_file* file, BackfillMark& mark) {
    constexpr int kRegionBytes = 32768;
    constexpr size_t kSalts = 32;
    constexpr size_t kBackfillAttempted = 128;
    void volatile* region = nullptr;
    const int rc = real(file)->pMethods->xShmMap(real(file), 0, kRegionBytes, 0, &region);
    if (rc != SQLITE_OK) return rc;
    if (region == nullptr) return SQLITE_IOERR_SHMMAP;
    // Neither changes while this connection holds the checkpoint's locks.
    const char* bytes = static_cast<const char*>(const_cast<void*>(region));
    std::memcpy(mark.salts.data(), bytes + kSalts, mark.salts.size());
    std::memcpy(&mark.frames, bytes + kBackfillAttempted, sizeof mark.frames);
    return SQLITE_OK;
}

/// The WAL was synced, its pages are about to be copied: from here on it is needed up to where they come
/// from.
int mark_backfill(sqlite3_file* file) {
    BackfillMark mark;
    int rc = read_backfill(file, mark);
    if (rc != SQLITE_OK) return rc;
    sqlite3_vfs* vfs = shim(file)->below;
    const std::string path = std::string(shim(file)->path) + kBackfillMarkSuffix;
    const auto storage = std::make_unique<char[]>(static_cast<size_t>(vfs->szOsFile));
    auto* out = reinterpret_cast<sqlite3_file*>(storage.get());
    constexpr int kFlags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MAIN_JOURNAL;
    rc = vfs->xOpen(vfs, path.c_str(), out, kFlags, nullptr);
    const core::Bytes bytes = encode_backfill_mark(mark);
    if (rc == SQLITE_OK) rc = out->pMethods->xWrite(out, bytes.data(), static_cast<int>(bytes.size()), 0);
    if (rc == SQLITE_OK) rc = out->pMethods->xSync(out, SQLITE_SYNC_NORMAL);
    if (out->pMethods != nullptr) out->pMethods->xClose(out);
    return rc;
}

int shim_close(sqlite3_file* file) {
    return real(file)->pMethods->xClose(real(file));
}

int shim_read(sqlite3_file* file, void* buffer, int amount, sqlite3_int64 offset) {
    if (shim(file)->kind == Kind::kDatabase)
        return read_database(file, static_cast<char*>(buffer), amount, offset);
    const int rc = real(file)->pMethods->xRead(real(file), buffer, amount, offset);
    const bool frame = shim(file)->kind == Kind::kWal && is_frame_page(amount, offset);
    return rc == SQLITE_OK && frame ? check_frame(file, static_cast<const char*>(buffer), offset) : rc;
}

int shim_write(sqlite3_file* file, const void* buffer, int amount, sqlite3_int64 offset) {
    if (shim(file)->kind != Kind::kDatabase) {
        return real(file)->pMethods->xWrite(real(file), buffer, amount, offset);
    }
    if (shim(file)->refusal != SQLITE_OK) return shim(file)->refusal;
    if (amount != static_cast<int>(kPageBytes) || offset % amount != 0) return SQLITE_IOERR_WRITE;
    std::array<char, kPageBytes> page;
    std::memcpy(page.data(), buffer, page.size());
    seal_page(page.data(), static_cast<uint32_t>(offset / amount + 1));
    return real(file)->pMethods->xWrite(real(file), page.data(), amount, offset);
}

int shim_truncate(sqlite3_file* file, sqlite3_int64 size) {
    return real(file)->pMethods->xTruncate(real(file), size);
}

/// After a failed sync the kernel may have dropped the pages and call the next sync a success; so the file
/// stays unsynced until it is opened again, and no checkpoint takes it for safe.
int shim_sync(sqlite3_file* file, int flags) {
    if (shim(file)->sync_failed) return SQLITE_IOERR_FSYNC;
    const int rc = real(file)->pMethods->xSync(real(file), flags);
    if (rc != SQLITE_OK) shim(file)->sync_failed = true;
    return rc;
}

int shim_file_size(sqlite3_file* file, sqlite3_int64* size) {
    return real(file)->pMethods->xFileSize(real(file), size);
}
int shim_lock(sqlite3_file* file, int level) {
    return real(file)->pMethods->xLock(real(file), level);
}
int shim_unlock(sqlite3_file* file, int level) {
    return real(file)->pMethods->xUnlock(real(file), level);
}
int shim_check_reserved(sqlite3_file* file, int* out) {
    return real(file)->pMethods->xCheckReservedLock(real(file), out);
}
int shim_control(sqlite3_file* file, int operation, void* argument) {
    // SQLite does not look at the answer, so a failure shows in the writes that follow.
    if (operation == SQLITE_FCNTL_CKPT_START) shim(file)->refusal = mark_backfill(file);
    return real(file)->pMethods->xFileControl(real(file), operation, argument);
}
int shim_sector_size(sqlite3_file* file) {
    return real(file)->pMethods->xSectorSize(real(file));
}
int shim_characteristics(sqlite3_file* file) {
    return real(file)->pMethods->xDeviceCharacteristics(real(file));
}
int shim_shm_map(sqlite3_file* file, int region, int size, int extend, void volatile** out) {
    return real(file)->pMethods->xShmMap(real(file), region, size, extend, out);
}
int shim_shm_lock(sqlite3_file* file, int offset, int count, int flags) {
    return real(file)->pMethods->xShmLock(real(file), offset, count, flags);
}
void shim_shm_barrier(sqlite3_file* file) {
    real(file)->pMethods->xShmBarrier(real(file));
}
int shim_shm_unmap(sqlite3_file* file, int remove) {
    return real(file)->pMethods->xShmUnmap(real(file), remove);
}

/// Version 2: without xFetch, so that no page reaches SQLite by mmap past the check.
constexpr sqlite3_io_methods kMethods = {
    .iVersion = 2,
    .xClose = shim_close,
    .xRead = shim_read,
    .xWrite = shim_write,
    .xTruncate = shim_truncate,
    .xSync = shim_sync,
    .xFileSize = shim_file_size,
    .xLock = shim_lock,
    .xUnlock = shim_unlock,
    .xCheckReservedLock = shim_check_reserved,
    .xFileControl = shim_control,
    .xSectorSize = shim_sector_size,
    .xDeviceCharacteristics = shim_characteristics,
    .xShmMap = shim_shm_map,
    .xShmLock = shim_shm_lock,
    .xShmBarrier = shim_shm_barrier,
    .xShmUnmap = shim_shm_unmap,
    .xFetch = nullptr,
    .xUnfetch = nullptr,
};

int vfs_open(sqlite3_vfs* vfs, const char* path, sqlite3_file* file, int flags, int* out_flags) {
    ShimFile* self = shim(file);
    self->base.pMethods = nullptr;
    self->path = path;
    self->below = base_of(vfs);
    self->refusal = SQLITE_OK;
    self->sync_failed = false;
    self->kind = Kind::kOther;
    if ((flags & SQLITE_OPEN_MAIN_DB) != 0) self->kind = Kind::kDatabase;
    if ((flags & SQLITE_OPEN_WAL) != 0) self->kind = Kind::kWal;
    const int rc = base_of(vfs)->xOpen(base_of(vfs), path, real(file), flags, out_flags);
    // The base decides whether there is something to close, also after an error.
    if (real(file)->pMethods != nullptr) self->base.pMethods = &kMethods;
    return rc;
}

int vfs_delete(sqlite3_vfs* vfs, const char* path, int sync) {
    return base_of(vfs)->xDelete(base_of(vfs), path, sync);
}
int vfs_access(sqlite3_vfs* vfs, const char* path, int flags, int* out) {
    return base_of(vfs)->xAccess(base_of(vfs), path, flags, out);
}
int vfs_full_path(sqlite3_vfs* vfs, const char* path, int size, char* out) {
    return base_of(vfs)->xFullPathname(base_of(vfs), path, size, out);
}
int vfs_randomness(sqlite3_vfs* vfs, int size, char* out) {
    return base_of(vfs)->xRandomness(base_of(vfs), size, out);
}
int vfs_sleep(sqlite3_vfs* vfs, int microseconds) {
    return base_of(vfs)->xSleep(base_of(vfs), microseconds);
}
int vfs_time(sqlite3_vfs* vfs, double* out) {
    return base_of(vfs)->xCurrentTime(base_of(vfs), out);
}
int vfs_last_error(sqlite3_vfs* vfs, int size, char* out) {
    return base_of(vfs)->xGetLastError(base_of(vfs), size, out);
}
int vfs_time_ms(sqlite3_vfs* vfs, sqlite3_int64* out) {
    return base_of(vfs)->xCurrentTimeInt64(base_of(vfs), out);
}

}  // namespace

ChecksumVfs::ChecksumVfs(std::string name, const char* base) : name_(std::move(name)) {
    sqlite3_vfs* below = sqlite3_vfs_find(base);
    SMACK_ASSERT(below != nullptr && below->iVersion >= 2);
    vfs_.iVersion = 2;
    vfs_.szOsFile = static_cast<int>(sizeof(ShimFile)) + below->szOsFile;
    vfs_.mxPathname = below->mxPathname;
    vfs_.zName = name_.c_str();
    vfs_.pAppData = below;
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

ChecksumVfs::~ChecksumVfs() {
    sqlite3_vfs_unregister(&vfs_);
}

const std::string& last_damage() {
    return damage;
}

void seed_sqlite_for_simulation(int seed) {
    sqlite3_test_control(SQLITE_TESTCTRL_PRNG_SEED, seed, static_cast<sqlite3*>(nullptr));
}

}  // namespace smackd::storage::sqlite
