// BlobStore: files named by the SHA-256 of what is in them.
//
//     DIR/sha256/ab/ab12...   complete blobs
//     DIR/partial/ab12...     one that is being written, or will be gone on with
//
// A blob appears by rename after its bytes were checked and synced: what has a name is whole. References are
// counted in memory by whoever needs a blob (records of images, running pulls); collect() removes the others.
// Calls block. Safe from any thread; a writer belongs to one thread at a time.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/disk.h"
#include "core/hasher.h"
#include "core/images/digest.h"

namespace smackd::storage {

using core::images::Digest;

class BlobStore;

/// A blob on its way in. Destroyed before commit() its bytes stay, to be gone on with.
class BlobWriter {
 public:
    ~BlobWriter();
    BlobWriter(const BlobWriter&) = delete;
    BlobWriter& operator=(const BlobWriter&) = delete;

    /// Bytes that are there: where a resumed download goes on.
    uint64_t size() const { return size_; }
    /// kInvalid when it becomes longer than announced; kDiskFull.
    core::Result<void> append(core::BytesView bytes);
    /// Forgets what is there: the sender begins anew.
    core::Result<void> restart();
    /// Checks, syncs and names the blob. kCorrupt when size or digest are not the announced ones; its bytes
    /// are removed then. A blob that came into the store meanwhile is fine.
    core::Result<Digest> commit();
    /// Removes the bytes.
    void discard();

 private:
    friend class BlobStore;
    BlobWriter(BlobStore& store, std::string path, std::unique_ptr<core::File> file);

    BlobStore& store_;
    std::string path_;
    std::unique_ptr<core::File> file_;
    std::unique_ptr<core::Hasher> hasher_;
    std::optional<Digest> digest_;      // announced
    std::optional<uint64_t> expected_;  // size, announced
    uint64_t size_ = 0;
};

class BlobStore {
 public:
    /// `disk` outlives the store. Partial files of an earlier process are kept.
    static core::Result<std::unique_ptr<BlobStore>> open(core::Disk& disk, std::string directory,
                                                         core::NewHasher new_hasher);

    bool has(const Digest& digest) const;
    std::optional<uint64_t> size(const Digest& digest) const;
    std::string path(const Digest& digest) const;
    const std::string& directory() const { return directory_; }
    /// Of complete blobs.
    uint64_t bytes() const;

    /// A writer for a blob of known digest and size; goes on with a partial file, whose bytes are hashed
    /// again first. kConflict while another writer of this digest lives.
    core::Result<std::unique_ptr<BlobWriter>> write(const Digest& digest, uint64_t size);
    /// A writer for bytes whose digest is found out, of at most `size_max` bytes.
    core::Result<std::unique_ptr<BlobWriter>> write_unnamed(uint64_t size_max);
    /// Stores `bytes`.
    core::Result<Digest> put(core::BytesView bytes);
    /// The whole blob, checked. kNotFound; kInvalid when longer than `limit`; kCorrupt when the disk changed
    /// it, in which case the blob is removed.
    core::Result<core::Bytes> read(const Digest& digest, uint64_t limit);
    /// Reads the whole blob and compares it with its digest. kNotFound; kCorrupt when the disk changed it, in
    /// which case it is removed.
    core::Result<void> check(const Digest& digest);
    /// All complete blobs.
    std::map<Digest, uint64_t> all() const;
    /// Removes one blob whatever its references.
    core::Result<void> remove(const Digest& digest);

    /// While it lives collect() leaves the blob alone, whether it is there yet or not.
    class Reference {
     public:
        Reference() = default;
        Reference(BlobStore& store, Digest digest);
        Reference(Reference&& other) noexcept;
        Reference& operator=(Reference&& other) noexcept;
        ~Reference();
        const Digest& digest() const { return *digest_; }

     private:
        BlobStore* store_ = nullptr;
        std::optional<Digest> digest_;
    };
    size_t references(const Digest& digest) const;
    /// Removes blobs and partial files that nobody references; returns the bytes freed.
    core::Result<uint64_t> collect();

 private:
    friend class BlobWriter;
    BlobStore(core::Disk& disk, std::string directory, core::NewHasher new_hasher);
    core::Result<void> load();
    core::Result<void> load_folder(const std::string& name);
    core::Result<std::unique_ptr<BlobWriter>> open_writer(std::string name);
    core::Result<void> publish(BlobWriter& writer, const Digest& digest);
    core::Result<uint64_t> collect_partial();
    std::string folder(const Digest& digest) const;
    void count(const Digest& digest, int change);

    core::Disk& disk_;
    const std::string directory_;
    const core::NewHasher new_hasher_;
    mutable std::mutex mutex_;
    std::map<Digest, uint64_t> sizes_;          // guarded by mutex_
    std::map<Digest, size_t> references_;       // guarded by mutex_
    std::map<std::string, bool> open_writers_;  // guarded by mutex_; by path
    uint64_t bytes_ = 0;                        // guarded by mutex_
    uint64_t unnamed_ = 0;                      // guarded by mutex_
};

}  // namespace smackd::storage
