// Small files of the kernel's: read and written whole.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <string_view>

#include "services/agent/descriptor.h"

namespace smackd::agent {

inline constexpr size_t kSmallFileBytesMax = 1 << 20;

/// Nothing when it cannot be read; cut at kSmallFileBytesMax.
inline std::optional<std::string> read_small_file(int at, const std::string& path) {
    const Descriptor file(::openat(at, path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return std::nullopt;
    std::string text;
    char buffer[4096];
    for (;;) {
        const ssize_t got = ::read(file.get(), buffer, sizeof(buffer));
        if (got < 0) return std::nullopt;
        text.append(buffer, static_cast<size_t>(got));
        if (got == 0 || text.size() >= kSmallFileBytesMax) return text;
    }
}
inline std::optional<std::string> read_small_file(const std::string& path) {
    return read_small_file(AT_FDCWD, path);
}

/// In one write, as the kernel's control files want it; errno on failure. The file must exist.
inline int write_small_file(int at, const std::string& path, std::string_view text) {
    const Descriptor file(::openat(at, path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!file) return errno;
    if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) return errno;
    return 0;
}
inline int write_small_file(const std::string& path, std::string_view text) {
    return write_small_file(AT_FDCWD, path, text);
}

}  // namespace smackd::agent
