// Snapshots on disk: one folder each, complete or absent.
//
// `snap-<term>-<index>/` holds the state machine's files and a manifest with the size and the CRC-32C of
// every chunk of them. A folder is filled under the name `incoming` or `taking` and renamed once all of it is
// synced. The newest two are kept: should the newest turn out damaged, the one before it and the log behind
// it still hold everything, provided the log was cut below the older one.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/disk.h"
#include "core/ids.h"
#include "core/wire/raft.pb.h"

namespace smackd::storage {

inline constexpr uint32_t kSnapshotChunkBytes = 512 * 1024;
inline constexpr int kSnapshotFilesMax = 16;
inline constexpr uint64_t kSnapshotFileBytesMax = 64ULL << 30U;
inline constexpr uint64_t kManifestBytesMax = 3 * 1024 * 1024;  ///< must fit into one transport message

/// kInvalid names the rule: names, sizes and counts within their limits, chunk lists that fit the sizes.
core::Result<void> check_manifest(const wire::SnapshotManifest& manifest);

class SnapshotStore {
 public:
    SnapshotStore(core::Disk& disk, std::string directory) : disk_(disk), directory_(std::move(directory)) {}

    /// Finds the snapshots in `directory` (made when absent), newest first, and removes unfinished ones. Only
    /// manifests are checked; one that fails is reported in `damaged` and left out.
    core::Result<void> open(std::vector<std::string>& damaged);

    const std::vector<wire::SnapshotManifest>& list() const { return snapshots_; }
    /// The folder of a snapshot in list().
    std::string path(const wire::SnapshotManifest& manifest) const;

    /// Reads every chunk of a snapshot back; kCorrupt names the file and the byte range. Blocks.
    core::Result<void> verify(const wire::SnapshotManifest& manifest) const;

    /// An empty folder to fill with the state machine's files; an unfinished one is removed first.
    core::Result<std::string> begin_taking();
    /// Checksums and syncs the files of begin_taking()'s folder into `manifest` and renames it into place.
    core::Result<void> finish_taking(wire::SnapshotManifest& manifest);

    /// Prepares to receive `manifest`; chunks already here from an interrupted transfer of the same one are
    /// kept. Returns for each file the number of leading chunks that are here and check.
    core::Result<std::vector<uint32_t>> begin_incoming(const wire::SnapshotManifest& manifest);
    /// Stores one chunk; kCorrupt when it does not check against the manifest.
    core::Result<void> put_chunk(const wire::SnapshotManifest& manifest, uint32_t file, uint32_t chunk,
                                 core::BytesView data);
    /// Verifies everything received, syncs it and renames it into place.
    core::Result<void> finish_incoming(const wire::SnapshotManifest& manifest);

    /// Verifies a snapshot and copies its files into the folder `name`, emptied before, that is the caller's
    /// to take away; its path. kCorrupt. Copies that are made at the same time need names of their own.
    core::Result<std::string> copy_for_install(const wire::SnapshotManifest& manifest,
                                               std::string_view name = "installing") const;
    /// Removes what copy_for_install() made and nobody took.
    core::Result<void> remove_copy(const std::string& folder) const { return remove_folder(folder); }

    /// One chunk of a snapshot, checked; kNotFound when it has no such chunk, kCorrupt.
    core::Result<core::Bytes> read_chunk(const wire::SnapshotManifest& manifest, uint32_t file,
                                         uint32_t chunk) const;

    /// Adds a snapshot that finish_* made to list(). Split from it since those run on another thread.
    void adopt(wire::SnapshotManifest manifest);
    /// Removes a snapshot from list() and disk.
    core::Result<void> remove(const wire::SnapshotManifest& manifest);
    /// Removes all but the newest `keep`.
    core::Result<void> prune(size_t keep);

 private:
    core::Result<void> remove_folder(const std::string& folder) const;
    core::Result<void> publish(const std::string& folder, const wire::SnapshotManifest& manifest) const;
    core::Result<void> verify_folder(const std::string& folder, const wire::SnapshotManifest& manifest) const;
    std::string taking() const { return directory_ + "/taking"; }
    std::string incoming() const { return directory_ + "/incoming"; }

    core::Disk& disk_;
    std::string directory_;
    std::vector<wire::SnapshotManifest> snapshots_;
};

}  // namespace smackd::storage
