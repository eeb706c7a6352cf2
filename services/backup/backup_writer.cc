#include "services/backup/backup_writer.h"

#include "net/crypto/random.h"
#include "services/backup/backup_contents.h"
#include "storage/state/files.h"

namespace smackd::services {

using core::Bytes;
using core::BytesView;
using core::Errc;
using core::fail;
using core::Result;

namespace {

constexpr size_t kReadBytes = 256 * 1024;
constexpr std::string_view kUnfinishedSuffix = ".new";

/// Appends to a file of the disk.
class FileAppender {
 public:
    static Result<FileAppender> make(core::Disk& disk, const std::string& path) {
        TRY_ASSIGN(auto file, disk.open(path, core::OpenMode::kCreate));
        TRY(file->truncate(0));
        return FileAppender(std::move(file));
    }
    Result<void> append(BytesView bytes) {
        TRY(file_->write_at(size_, bytes));
        size_ += bytes.size();
        return {};
    }
    Result<void> sync() { return file_->sync(); }
    uint64_t size() const { return size_; }

 private:
    explicit FileAppender(std::unique_ptr<core::File> file) : file_(std::move(file)) {}
    std::unique_ptr<core::File> file_;
    uint64_t size_ = 0;
};

Result<void> remove_if_there(core::Disk& disk, const std::string& path) {
    auto removed = disk.remove(path);
    if (!removed && removed.error().code != Errc::kNotFound) return removed;
    return {};
}

Result<void> add_sizes(core::Disk& disk, const std::string& folder, wire::BackupManifest& manifest) {
    manifest.clear_files();
    for (const std::string_view name : kBackupFiles) {
        TRY_ASSIGN(auto file, disk.open(std::format("{}/{}", folder, name), core::OpenMode::kRead));
        TRY_ASSIGN(const uint64_t size, file->size());
        if (size > kBackupFileBytesMax)
            return fail(Errc::kInvalid, "{} has {} bytes, a backup holds at most {} of one file", name, size,
                        kBackupFileBytesMax);
        wire::BackupFile* entry = manifest.add_files();
        entry->set_name(std::string(name));
        entry->set_size(size);
    }
    return {};
}

Result<void> add_file(const std::string& folder, const wire::BackupFile& entry, core::Compressor& compressor,
                      const BackupPlace& place) {
    TRY_ASSIGN(auto file, place.disk.open(folder + "/" + entry.name(), core::OpenMode::kRead));
    Bytes buffer(kReadBytes, '\0');
    for (uint64_t at = 0; at < entry.size();) {
        if (place.cancelled) return fail(Errc::kCancelled, "the backup was given up");
        const auto wanted = static_cast<size_t>(std::min<uint64_t>(kReadBytes, entry.size() - at));
        TRY_ASSIGN(const size_t got, file->read_at(at, buffer.data(), wanted));
        if (got != wanted) return fail(Errc::kIo, "{} is shorter than it was", entry.name());
        TRY(compressor.write(BytesView(buffer).substr(0, got)));
        at += got;
    }
    return {};
}

Result<uint64_t> write_file(const std::string& folder, const auth::SealKey& cluster_key,
                            const BackupSource& source, const BackupPlace& place, const std::string& path) {
    TRY_ASSIGN(FileAppender out, FileAppender::make(place.disk, path));
    const EncodedHeader header = encode_header(source.header);
    TRY(out.append(header.bytes));
    ChunkSealer sealer(cluster_key, header, [&out](BytesView sealed) { return out.append(sealed); });
    core::Compressor compressor([&sealer](BytesView compressed) { return sealer.write(compressed); });
    TRY(compressor.write(encode_manifest(source.manifest)));
    for (const wire::BackupFile& entry : source.manifest.files())
        TRY(add_file(folder, entry, compressor, place));
    TRY(compressor.finish());
    TRY(sealer.finish());
    TRY(out.sync());
    return out.size();
}

std::string folder_of(const std::string& path) {
    return path.substr(0, path.rfind('/'));
}

}  // namespace

Result<WrittenBackup> write_backup_of(const std::string& folder, const auth::SealKey& cluster_key,
                                      BackupSource source, const BackupPlace& place) {
    TRY(add_sizes(place.disk, folder, source.manifest));
    source.header.set_salt(net::crypto::random_bytes(kBackupSaltBytes));
    const std::string unfinished = place.path + std::string(kUnfinishedSuffix);
    auto bytes = write_file(folder, cluster_key, source, place, unfinished);
    if (!bytes) {
        auto removed = remove_if_there(place.disk, unfinished);
        return core::pass(std::move(bytes), removed ? "" : removed.error().message);
    }
    TRY(place.disk.rename(unfinished, place.path));
    TRY(place.disk.sync_directory(folder_of(place.path)));
    return WrittenBackup{std::move(source.manifest), *bytes};
}

Result<WrittenBackup> write_backup(const auth::SealKey& cluster_key, BackupSource source,
                                   const BackupPlace& place) {
    TRY(remove_folder(place.disk, place.work));
    const auto make = [&]() -> Result<WrittenBackup> {
        TRY(source.state.copy(place.work));
        // The files are unpinned from here on: the WAL need not wait for compression.
        source.state.copy = nullptr;
        storage::state::StateFiles files(place.disk, place.vfs, place.work);
        TRY_ASSIGN(const storage::state::Position position, files.check_snapshot(place.work));
        source.manifest.set_epoch(position.epoch);
        source.manifest.set_revision(position.revision);
        source.manifest.set_index(position.applied_index);
        source.manifest.set_time_ms(position.time_ms);
        source.header.set_feature_level(position.feature_level);
        return write_backup_of(place.work, cluster_key, std::move(source), place);
    };
    auto written = make();
    auto removed = remove_folder(place.disk, place.work);
    if (written && !removed) return core::pass(std::move(removed), "removing the copy");
    return written;
}

Result<void> remove_folder(core::Disk& disk, const std::string& folder) {
    TRY_ASSIGN(const bool there, disk.exists(folder));
    if (!there) return {};
    TRY_ASSIGN(const auto names, disk.list(folder));
    for (const std::string& name : names) TRY(disk.remove(folder + "/" + name));
    return disk.remove(folder);
}

}  // namespace smackd::services
