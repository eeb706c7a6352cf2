#include "core/marathon/path_id.h"

#include <algorithm>
#include <vector>

namespace smackd::marathon {

using core::Errc;
using core::fail;
using core::Result;

namespace {

constexpr size_t kIdBytesMax = 512;
constexpr size_t kUuidBytes = 36;

std::vector<std::string_view> split(std::string_view text, char separator) {
    std::vector<std::string_view> parts;
    for (;;) {
        const size_t end = text.find(separator);
        parts.push_back(text.substr(0, end));
        if (end == std::string_view::npos) return parts;
        text.remove_prefix(end + 1);
    }
}

std::vector<std::string_view> segments_of(std::string_view id) {
    std::vector<std::string_view> parts = split(id, '/');
    std::erase(parts, std::string_view());
    return parts;
}

bool is_word_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool is_label(std::string_view label) {
    if (label.empty() || !is_word_character(label.front()) || !is_word_character(label.back())) return false;
    return std::ranges::all_of(label, [](char c) { return is_word_character(c) || c == '-'; });
}

Result<void> check_segment(std::string_view segment) {
    if (std::ranges::all_of(split(segment, '.'), is_label)) return {};
    return fail(Errc::kInvalid,
                "segment '{}' must fully match regular expression "
                "'^(([a-z0-9]|[a-z0-9][a-z0-9\\-]*[a-z0-9])\\.)*([a-z0-9]|[a-z0-9][a-z0-9\\-]*[a-z0-9])|(\\.|"
                "\\.\\.)$'",
                segment.substr(0, 64));
}

std::string joined(const std::vector<std::string_view>& segments) {
    std::string id;
    for (const std::string_view segment : segments) id.append("/").append(segment);
    return id.empty() ? "/" : id;
}

}  // namespace

Result<std::string> resolve_id(std::string_view id, std::string_view base) {
    if (id.empty()) return fail(Errc::kInvalid, "must not be empty");
    if (id.size() > kIdBytesMax) return fail(Errc::kInvalid, "must have at most {} bytes", kIdBytesMax);
    std::vector<std::string_view> segments =
        id.starts_with('/') ? std::vector<std::string_view>() : segments_of(base);
    for (const std::string_view segment : segments_of(id)) {
        if (segment == ".") continue;
        if (segment != "..") {
            TRY(check_segment(segment));
            segments.push_back(segment);
            continue;
        }
        if (segments.empty())
            return fail(Errc::kInvalid, "'{}' leads above the root group", id.substr(0, 64));
        segments.pop_back();
    }
    std::string absolute = joined(segments);
    if (absolute.size() > kIdBytesMax) return fail(Errc::kInvalid, "must have at most {} bytes", kIdBytesMax);
    return absolute;
}

Result<std::string> resolve_app_id(std::string_view id, std::string_view base) {
    TRY_ASSIGN(std::string absolute, resolve_id(id, base));
    if (absolute == "/") return fail(Errc::kInvalid, "must not be the root: an app needs a name");
    const std::string_view last = std::string_view(absolute).substr(absolute.rfind('/') + 1);
    if (last == "restart" || last == "tasks" || last == "versions") {
        return fail(Errc::kInvalid, "must not end in one of the following: restart, tasks, versions");
    }
    return absolute;
}

std::string parent_id(std::string_view id) {
    const size_t slash = id.rfind('/');
    return slash == std::string_view::npos || slash == 0 ? "/" : std::string(id.substr(0, slash));
}

std::string id_with_underscores(std::string_view id) {
    std::string text(id.starts_with('/') ? id.substr(1) : id);
    std::ranges::replace(text, '/', '_');
    return text;
}

std::string id_reversed(std::string_view id) {
    std::vector<std::string_view> segments = segments_of(id);
    std::string text;
    for (auto segment = segments.rbegin(); segment != segments.rend(); ++segment) {
        if (!text.empty()) text += '.';
        text += *segment;
    }
    return text;
}

Result<std::string> app_of_task(std::string_view task_id) {
    std::string_view path = task_id;
    size_t end = path.find(".instance-");
    if (end == std::string_view::npos) {
        // The old form: the last part is a UUID, perhaps with an attempt after it.
        const size_t last = path.rfind('.');
        end = last;
        if (last != std::string_view::npos && task_id.size() - last - 1 != kUuidBytes) {
            end = last == 0 ? std::string_view::npos : path.rfind('.', last - 1);
            if (end != std::string_view::npos && last - end - 1 != kUuidBytes) end = std::string_view::npos;
        }
    }
    if (end != std::string_view::npos && end > 0) {
        std::string id = "/" + std::string(path.substr(0, end));
        std::ranges::replace(id, '_', '/');
        auto absolute = resolve_app_id(id);
        if (absolute && *absolute == id) return absolute;
    }
    return fail(Errc::kInvalid, "Invalid task id '{}'", task_id.substr(0, 128));
}

}  // namespace smackd::marathon
