// LayerStore: unpacked layers, one folder each, named by the digest of the blob they came from.
//
//     DIR/HEX        the tree; complete, since it appears by rename
//     DIR/HEX.json   its diff id and size, written before
//
// Named by the blob and not by the diff id: the blob's digest was checked by us, the diff id is what the
// confined child says. A layer that takes the child over can thus spoil itself and nobody else's.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/disk.h"
#include "core/images/digest.h"
#include "net/loop.h"
#include "net/task.h"
#include "net/worker_pool.h"

namespace smackd::services::images {

struct UnpackedLayer {
    core::images::Digest diff_id;
    uint64_t bytes = 0;
};

/// Loop thread only.
class LayerStore {
 public:
    struct Environment {
        net::Loop& loop;
        net::WorkerPool& workers;
        core::Disk& disk;
        std::string program;
    };
    /// Makes the folder and removes what was left half done. Blocks.
    static core::Result<std::unique_ptr<LayerStore>> open(Environment environment, std::string directory);

    const UnpackedLayer* find(const core::images::Digest& blob) const;
    std::string path(const core::images::Digest& blob) const { return directory_ + "/" + blob.hex(); }
    std::vector<core::images::Digest> all() const;
    uint64_t bytes() const { return bytes_; }

    /// Unpacks the blob file `archive`. kCorrupt when its diff id is another one. One call at a time for a
    /// blob.
    net::Task<core::Result<void>> add(core::images::Digest blob, core::images::Digest diff_id,
                                      std::string archive, uint64_t bytes_max);
    /// Returns the bytes freed.
    net::Task<core::Result<uint64_t>> remove(core::images::Digest blob);

 private:
    LayerStore(Environment environment, std::string directory)
        : environment_(std::move(environment)), directory_(std::move(directory)) {}
    core::Result<void> load();

    Environment environment_;
    std::string directory_;
    std::map<core::images::Digest, UnpackedLayer> layers_;
    uint64_t bytes_ = 0;
};

/// Removes a tree that others filled: follows no link. Blocks.
core::Result<void> remove_tree(const std::string& path);

}  // namespace smackd::services::images
