// Blobs as apply reads them: what an app's fetches refer to, and that their bytes stay as long as it does.
#pragma once

#include <optional>
#include <string>

#include "core/wire/app.pb.h"
#include "storage/state/outcome.h"
#include "storage/state/writer.h"

namespace smackd::storage::state {

inline constexpr int kBlobsMax = 10'000;
inline constexpr uint64_t kBlobBytesMax = 16ULL << 30;  ///< of one
/// Of all together, where the setting `blob-limit/` says nothing.
inline constexpr uint64_t kBlobBytesTotal = 256ULL << 30;
/// The setting "blob-limit/team" says how many bytes blobs at and below /team may have.
inline constexpr std::string_view kBlobLimitPrefix = "blob-limit";

/// Why a blob of that name and size may not come in, or nothing; what has the name is taken to go.
core::Result<std::optional<core::Error>> blob_limit_problem(sqlite::Database& state, const std::string& name,
                                                            uint64_t size);
/// Each blob that the app fetches is one that the actor may view, or that a version of the app has already.
Outcome<void> check_fetches(Writer& writer, const wire::AppDefinition& app);
/// Notes what the app's stored versions fetch; after the version was written.
Outcome<void> write_blob_uses(Writer& writer, const wire::AppDefinition& app);
Outcome<void> remove_blob_uses(Writer& writer, const std::string& app_id);

}  // namespace smackd::storage::state
