#include "services/api/router.h"

namespace smackd::services {
namespace {

/// Takes the first component off `path` ("/a/b" -> "a", rest "/b").
std::string_view next_component(std::string_view& path) {
    path.remove_prefix(1);
    const size_t slash = path.find('/');
    const std::string_view component = path.substr(0, slash);
    path = slash == std::string_view::npos ? std::string_view{} : path.substr(slash);
    return component;
}

bool fits(std::string_view pattern, std::string_view path, std::vector<std::string>& arguments) {
    arguments.clear();
    while (!pattern.empty() && !path.empty()) {
        const std::string_view wanted = next_component(pattern);
        const std::string_view found = next_component(path);
        if (wanted.starts_with('{')) {
            if (found.empty()) return false;
            arguments.emplace_back(found);
        } else if (wanted != found) {
            return false;
        }
    }
    return pattern.empty() && path.empty();
}

}  // namespace

RouteMatch Router::match(std::string_view method, std::string_view path) const {
    RouteMatch match;
    if (!path.starts_with('/')) return match;
    const std::string_view wanted = method == "HEAD" ? "GET" : method;
    std::vector<std::string> arguments;
    for (const Route& route : routes_) {
        if (!fits(route.pattern, path, arguments)) continue;
        if (route.method == wanted) {
            match.route = &route;
            match.arguments = std::move(arguments);
            return match;
        }
        if (!match.allow.empty()) match.allow += ", ";
        match.allow += route.method;
        if (route.method == "GET") match.allow += ", HEAD";
    }
    return match;
}

}  // namespace smackd::services
