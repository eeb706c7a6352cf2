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

bool fits(std::string_view pattern, std::string_view path, std::vector<std::string>& arguments);

/// A part of several components: the shortest that lets the rest of the pattern fit.
bool fits_several(std::string_view pattern, std::string_view path, std::vector<std::string>& arguments) {
    const std::string_view start = path;
    while (!path.empty()) {
        next_component(path);
        const std::string_view taken = start.substr(1, start.size() - path.size() - 1);
        if (taken.find_first_not_of('/') == std::string_view::npos) continue;
        arguments.emplace_back(taken);
        if (fits(pattern, path, arguments)) return true;
        arguments.pop_back();
    }
    return false;
}

bool fits(std::string_view pattern, std::string_view path, std::vector<std::string>& arguments) {
    const size_t before = arguments.size();
    while (!pattern.empty() && !path.empty()) {
        const std::string_view wanted = next_component(pattern);
        if (wanted.ends_with("...}")) {
            if (fits_several(pattern, path, arguments)) return true;
            arguments.resize(before);
            return false;
        }
        const std::string_view found = next_component(path);
        if (wanted.starts_with('{') ? found.empty() : wanted != found) {
            arguments.resize(before);
            return false;
        }
        if (wanted.starts_with('{')) arguments.emplace_back(found);
    }
    if (pattern.empty() && path.empty()) return true;
    arguments.resize(before);
    return false;
}

}  // namespace

RouteMatch Router::match(std::string_view method, std::string_view path) const {
    RouteMatch match;
    if (!path.starts_with('/')) return match;
    const std::string_view wanted = method == "HEAD" ? "GET" : method;
    std::vector<std::string> arguments;
    for (const Route& route : routes_) {
        arguments.clear();
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
