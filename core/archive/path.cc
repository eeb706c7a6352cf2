#include "core/archive/path.h"

#include <algorithm>

#include "core/planted.h"

namespace smackd::core::archive {

Result<PathComponents> split_path(std::string_view path) {
    if (path.size() > kPathBytesMax) return fail(Errc::kInvalid, "path: longer than {} bytes", kPathBytesMax);
    if (path.find('\0') != std::string_view::npos) return fail(Errc::kInvalid, "path: has a NUL");
    PathComponents components;
    for (size_t at = 0; at < path.size();) {
        const size_t end = std::min(path.find('/', at), path.size());
        const std::string_view component = path.substr(at, end - at);
        at = end + 1;
        if (component.empty() || component == ".") continue;
        if (component == ".." && !SMACK_BUG("fuzz_tar")) {
            return fail(Errc::kInvalid, "path: '..' would leave the folder");
        }
        if (component.size() > kComponentBytesMax) {
            return fail(Errc::kInvalid, "path: a component is longer than {} bytes", kComponentBytesMax);
        }
        if (components.size() == kPathDepthMax) {
            return fail(Errc::kInvalid, "path: deeper than {} folders", kPathDepthMax);
        }
        components.emplace_back(component);
    }
    return components;
}

std::string join_path(std::span<const std::string> components) {
    std::string path;
    for (const std::string& component : components) {
        if (!path.empty()) path.push_back('/');
        path.append(component);
    }
    return path;
}

Result<Whiteout> parse_whiteout(std::string_view component) {
    constexpr std::string_view kPrefix = ".wh.";
    constexpr std::string_view kMetaPrefix = ".wh..wh.";
    if (!component.starts_with(kPrefix)) return Whiteout{};
    if (component == ".wh..wh..opq") return Whiteout{Whiteout::Kind::kOpaque, {}};
    if (component.starts_with(kMetaPrefix)) return Whiteout{Whiteout::Kind::kIgnore, {}};
    const std::string_view name = component.substr(kPrefix.size());
    if (name.empty() || name == "." || name == "..") {
        return fail(Errc::kInvalid, "path: '{}' removes nothing that can be removed", component);
    }
    return Whiteout{Whiteout::Kind::kRemove, std::string(name)};
}

}  // namespace smackd::core::archive
