// Names inside archives: where they may point, and overlay whiteouts (OCI image-spec layer.md).
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace smackd::core::archive {

inline constexpr size_t kPathBytesMax = 4095;      ///< PATH_MAX without its NUL
inline constexpr size_t kComponentBytesMax = 255;  ///< NAME_MAX
inline constexpr size_t kPathDepthMax = 200;

using PathComponents = std::vector<std::string>;

/// The components of a member's name below the folder it is unpacked into. A leading '/', "." and empty
/// components are dropped; "./" is the folder itself, no components. kInvalid for "..", NUL, and what is too
/// long or too deep.
Result<PathComponents> split_path(std::string_view path);

/// "a/b/c"; empty for no components.
std::string join_path(std::span<const std::string> components);

/// What the last component of a layer's member asks for.
struct Whiteout {
    enum class Kind : uint8_t {
        kNone,    ///< an ordinary name
        kRemove,  ///< ".wh.NAME": NAME of the layers below is gone
        kOpaque,  ///< ".wh..wh..opq": nothing of the folder in the layers below is seen
        kIgnore,  ///< other ".wh..wh." names: leftovers of aufs
    };
    Kind kind = Kind::kNone;
    std::string name;  ///< of kRemove
};
/// kInvalid for ".wh." with nothing, "." or ".." behind it.
Result<Whiteout> parse_whiteout(std::string_view component);

}  // namespace smackd::core::archive
