// Which part of a write-ahead log must be whole, and whether it is.
//
// SQLite cuts a WAL at the first frame that does not check and cannot tell a torn tail from a flipped bit. A
// tail that goes is harmless, unless pages of it are in the database file already: then the file is of a
// later moment than the WAL before it, and readers see a mixture of both. So before a checkpoint copies pages
// (and after it has synced the WAL), the backfill mark says durably how far the WAL is needed.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "core/bytes.h"
#include "core/disk.h"
#include "storage/sqlite/page.h"

namespace smackd::storage::sqlite {

/// Set anew each time the WAL starts over, so that older frames behind newer ones are told apart.
using WalSalts = std::array<char, 8>;

/// "The first `frames` frames of the WAL with these salts are or may be in the database file."
struct BackfillMark {
    WalSalts salts{};
    uint32_t frames = 0;
    bool operator==(const BackfillMark&) const = default;
};

/// Beside the database; rewritten in place (one sector) by checksum_vfs.
inline constexpr const char* kBackfillMarkSuffix = "-backfill";
inline constexpr size_t kBackfillMarkBytes = 20;

core::Bytes encode_backfill_mark(const BackfillMark& mark);
/// Nothing when the checksum fails.
std::optional<BackfillMark> decode_backfill_mark(core::BytesView bytes);

/// kCorrupt when recovery would cut the WAL of the database at `path` where it must not: below the backfill
/// mark; or, with no readable mark, where sound frames follow the first bad one. Reads the whole WAL. For the
/// time before the database is opened.
core::Result<void> check_wal(core::Disk& disk, const std::string& path);

}  // namespace smackd::storage::sqlite
