#include "services/backup/backup_reader.h"

#include <format>

namespace smackd::services {

using core::Bytes;
using core::BytesView;
using core::Errc;
using core::fail;
using core::Result;

namespace {

constexpr size_t kReadBytes = 4 * kSealedChunkBytes;

Result<Bytes> read_some(core::File& file, uint64_t offset, size_t size) {
    Bytes bytes(size, '\0');
    TRY_ASSIGN(const size_t got, file.read_at(offset, bytes.data(), size));
    bytes.resize(got);
    return bytes;
}

}  // namespace

Result<BackupReader> BackupReader::open(core::Disk& disk, const std::string& path) {
    TRY_ASSIGN(auto file, disk.open(path, core::OpenMode::kRead));
    auto reader = over(std::move(file));
    if (!reader) return core::pass(std::move(reader), path);
    return reader;
}

Result<BackupReader> BackupReader::over(std::unique_ptr<core::File> file) {
    TRY_ASSIGN(const Bytes prefix, read_some(*file, 0, kBackupPrefixBytes));
    TRY_ASSIGN(const size_t size, header_size(prefix));
    TRY_ASSIGN(const Bytes bytes, read_some(*file, 0, size));
    TRY_ASSIGN(EncodedHeader header, parse_header(bytes));
    TRY_ASSIGN(const uint64_t total, file->size());
    return BackupReader(std::move(file), std::move(header), total);
}

Result<auth::SealKey> BackupReader::unwrap(const auth::RecoveryKey& recovery) const {
    auto key = recovery.unwrap(header().wrapped_cluster_key());
    if (key) return key;
    return fail(Errc::kDenied,
                "this recovery key is not the one of the cluster the backup is of (cluster {})",
                header().cluster_id().substr(0, 12));
}

Result<wire::BackupManifest> BackupReader::read(const auth::SealKey& cluster_key, BackupSink& sink) {
    ContentsParser parser(sink);
    core::Decompressor decompressor([&parser](BytesView contents) { return parser.write(contents); });
    ChunkOpener opener(cluster_key, header_,
                       [&decompressor](BytesView compressed) { return decompressor.write(compressed); });
    for (uint64_t at = header_.bytes.size();;) {
        TRY_ASSIGN(const Bytes bytes, read_some(*file_, at, kReadBytes));
        if (bytes.empty()) break;
        TRY(opener.write(bytes));
        at += bytes.size();
    }
    TRY(opener.finish());
    TRY(decompressor.finish());
    TRY(parser.finish());
    return parser.manifest();
}

Result<void> FolderSink::begin(const wire::BackupManifest& manifest) {
    uint64_t total = 0;
    for (const wire::BackupFile& file : manifest.files()) total += file.size();
    TRY_ASSIGN(const uint64_t free, disk_.free_bytes(folder_));
    if (free >= total) return {};
    return fail(Errc::kDiskFull, "{}: {} bytes are needed, {} are free", folder_, total, free);
}

Result<void> FolderSink::write(const std::string& file, BytesView bytes) {
    if (open_ == nullptr) {
        TRY_ASSIGN(open_, disk_.open(folder_ + "/" + file, core::OpenMode::kCreateNew));
        written_ = 0;
    }
    TRY(open_->write_at(written_, bytes));
    written_ += bytes.size();
    return {};
}

Result<void> FolderSink::end(const std::string& /*file*/) {
    TRY(open_->sync());
    open_.reset();
    return {};
}

}  // namespace smackd::services
