#include "services/api/pages.h"

#include <string>

#include "web/assets.h"

namespace smackd::services {
namespace {

// Scripts, styles and requests of this origin only; no inline code, no frames around us, no plugins.
constexpr std::string_view kContentSecurityPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const web::Asset* find(std::string_view path) {
    return web::find(path == "/" ? "/index.html" : path);
}

}  // namespace

bool is_page(std::string_view path) {
    return find(path) != nullptr;
}

net::http::Response page(std::string_view path) {
    const web::Asset* asset = find(path);
    net::http::Response response;
    response.body = std::string(asset->body);
    response.headers.add("Content-Type", asset->content_type);
    response.headers.add("Content-Security-Policy", kContentSecurityPolicy);
    response.headers.add("X-Content-Type-Options", "nosniff");
    response.headers.add("Referrer-Policy", "no-referrer");
    response.headers.add("Cross-Origin-Opener-Policy", "same-origin");
    // A newer binary has newer files under the same names.
    response.headers.add("Cache-Control", "no-cache");
    return response;
}

}  // namespace smackd::services
