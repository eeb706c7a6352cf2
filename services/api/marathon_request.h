// What Marathon's routes read of a request: ids in paths, flags in queries.
#pragma once

#include <string>
#include <string_view>

#include "net/http/message.h"

namespace smackd::services {

/// The absolute id of a path's part; what is no id names no app.
std::string id_in_path(std::string_view part);

/// What a path's part speaks of: one app, or with "/*" at its end all apps below a group.
struct AppsInPath {
    std::string id;
    bool below = false;

    static AppsInPath of(std::string part);
};

/// A query's flag: given and neither "false" nor "0".
bool query_says(const net::http::Request& request, std::string_view name, bool fallback = false);

}  // namespace smackd::services
