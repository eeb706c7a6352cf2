// Small files that hold secrets: mode 0600 from the first byte, replaced by rename, synced.
#pragma once

#include <string>

#include "core/bytes.h"
#include "core/result.h"

namespace smackd::auth {

/// The whole file. kNotFound, kIo with what to do when this user may not read it, kInvalid above `limit`
/// bytes.
core::Result<core::Bytes> read_secret_file(const std::string& path, size_t limit);
/// Replaces the file durably; no moment at which others could read it or a crash would leave half of it.
core::Result<void> write_secret_file(const std::string& path, core::BytesView bytes);

}  // namespace smackd::auth
