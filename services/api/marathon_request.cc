#include "services/api/marathon_request.h"

#include "core/marathon/path_id.h"

namespace smackd::services {

std::string id_in_path(std::string_view part) {
    auto id = marathon::resolve_id(part);
    return id ? *id : "/" + std::string(part);
}

AppsInPath AppsInPath::of(std::string part) {
    const bool below = part == "*" || part.ends_with("/*");
    if (below) part.resize(part.size() - 1);
    return {part.empty() ? "/" : id_in_path(part), below};
}

bool query_says(const net::http::Request& request, std::string_view name, bool fallback) {
    const auto value = request.query(name);
    return value ? *value != "false" && *value != "0" : fallback;
}

}  // namespace smackd::services
