// Reading a backup file: its header by anybody, its contents with the recovery key. Blocks.
#pragma once

#include <memory>
#include <string>

#include "core/disk.h"
#include "services/backup/backup_contents.h"
#include "services/backup/backup_file.h"

namespace smackd::services {

class BackupReader {
 public:
    /// Reads and checks the header. Errors name the file.
    static core::Result<BackupReader> open(core::Disk& disk, const std::string& path);
    static core::Result<BackupReader> over(std::unique_ptr<core::File> file);

    const wire::BackupHeader& header() const { return header_.header; }
    uint64_t bytes() const { return bytes_; }
    /// kDenied when the recovery key is of another cluster.
    core::Result<auth::SealKey> unwrap(const auth::RecoveryKey& recovery) const;
    /// Opens every chunk and hands the contents to `sink`; they are whole when it returns without an error.
    core::Result<wire::BackupManifest> read(const auth::SealKey& cluster_key, BackupSink& sink);

 private:
    BackupReader(std::unique_ptr<core::File> file, EncodedHeader header, uint64_t bytes)
        : file_(std::move(file)), header_(std::move(header)), bytes_(bytes) {}
    std::unique_ptr<core::File> file_;
    EncodedHeader header_;
    uint64_t bytes_;
};

/// Writes the files into a folder that exists and syncs them.
class FolderSink final : public BackupSink {
 public:
    /// `disk` outlives it.
    FolderSink(core::Disk& disk, std::string folder) : disk_(disk), folder_(std::move(folder)) {}
    core::Result<void> begin(const wire::BackupManifest& manifest) override;
    core::Result<void> write(const std::string& file, core::BytesView bytes) override;
    core::Result<void> end(const std::string& file) override;

 private:
    core::Disk& disk_;
    std::string folder_;
    std::unique_ptr<core::File> open_;
    uint64_t written_ = 0;
};

}  // namespace smackd::services
