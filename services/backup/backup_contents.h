// What is inside a backup: "length u32, wire::BackupManifest, then the bytes of its files one after the
// other".
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/bytes.h"
#include "core/wire/backup.pb.h"

namespace smackd::services {

inline constexpr size_t kBackupManifestBytesMax = 256 * 1024;
inline constexpr uint64_t kBackupFileBytesMax = 64ULL << 30U;
/// Every backup holds these, in this order.
inline constexpr std::array<std::string_view, 3> kBackupFiles{"realm.db", "secrets.db", "state.db"};

core::Bytes encode_manifest(const wire::BackupManifest& manifest);

/// Where the parts of a backup go as they come.
class BackupSink {
 public:
    virtual ~BackupSink() = default;
    virtual core::Result<void> begin(const wire::BackupManifest& manifest) = 0;
    /// The next bytes of a file of the manifest.
    virtual core::Result<void> write(const std::string& file, core::BytesView bytes) = 0;
    /// All bytes of the file were written.
    virtual core::Result<void> end(const std::string& file) = 0;
};

/// Takes the contents apart as they come, in any pieces.
class ContentsParser {
 public:
    /// `sink` outlives it.
    explicit ContentsParser(BackupSink& sink) : sink_(sink) {}
    /// kCorrupt names what breaks the format; errors of the sink.
    core::Result<void> write(core::BytesView bytes);
    /// kCorrupt unless everything the manifest promised has come.
    core::Result<void> finish() const;
    /// Valid once the sink's begin() was called.
    const wire::BackupManifest& manifest() const { return manifest_; }

 private:
    core::Result<void> take_manifest(core::BytesView& bytes);
    core::Result<void> take_file(core::BytesView& bytes);

    BackupSink& sink_;
    core::Bytes head_;  // length and manifest until they are complete
    wire::BackupManifest manifest_;
    bool begun_ = false;
    int file_ = 0;
    uint64_t written_ = 0;  // of the current file
};

}  // namespace smackd::services
