// Term, vote and what else a replica must never forget: one small file, two copies.
//
// A change is written to the first copy and synced, then to the second and synced, before it is acted on. So
// one copy is whole at any moment, and a bit flip in one is healed from the other. When both fail their
// checksum the vote is unknown and the replica must not start: it could vote twice in one term.
#pragma once

#include <string>

#include "core/disk.h"
#include "core/ids.h"

namespace smackd::storage {

struct Metadata {
    core::Term term;
    core::NodeId vote;       ///< 0: none in this term
    uint64_t voters = 0;     ///< voters of the newest configuration seen; 0 before the first
    core::Term damage_term;  ///< acknowledged entries of terms up to here may be missing; 0: none are
    uint64_t epoch = 0;      ///< of the last `recover` (below); peers of another one are refused
    bool operator==(const Metadata&) const = default;
};

// An epoch is the number of new beginnings by `recover` and, below it, a mark drawn at the last one: two
// servers that were recovered apart from each other count alike and are told apart by their marks.

/// How many new beginnings there were.
constexpr uint64_t recoveries_of(uint64_t epoch) {
    return epoch >> 32;
}
/// The epoch of one more.
constexpr uint64_t next_epoch(uint64_t epoch, uint32_t mark) {
    return (recoveries_of(epoch) + 1) << 32 | mark;
}

class MetadataStore {
 public:
    /// Reads `path`; a fresh one (all zero) when there is no file. kCorrupt when neither copy checks.
    static core::Result<MetadataStore> open(core::Disk& disk, const std::string& path);

    const Metadata& value() const { return value_; }
    /// True when one copy was found damaged (and has been written anew).
    bool healed() const { return healed_; }
    /// Durable when it returns; on an error the old value may still be the one on disk and stays value().
    core::Result<void> write(const Metadata& value);

 private:
    MetadataStore(core::Disk& disk, std::string path) : disk_(&disk), path_(std::move(path)) {}
    core::Result<void> write_copy(core::File& file, uint64_t slot, const core::Bytes& bytes);

    core::Disk* disk_;
    std::string path_;
    Metadata value_;
    uint64_t version_ = 0;
    bool healed_ = false;
};

}  // namespace smackd::storage
