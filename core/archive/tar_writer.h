// A tar file of small files (ustar, POSIX.1-2008).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/bytes.h"
#include "core/result.h"

namespace smackd::core::archive {

inline constexpr size_t kTarNameMax = 100;  ///< bytes of a member's name

class TarWriter {
 public:
    /// A file, mode 0600, of root. kInvalid for a name that is empty or too long.
    Result<void> add(std::string_view name, BytesView content, int64_t mtime_seconds);
    /// The archive with its end; nothing may be added afterwards.
    Bytes finish();

 private:
    Bytes bytes_;
};

}  // namespace smackd::core::archive
