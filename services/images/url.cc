#include "services/images/url.h"

#include <algorithm>
#include <charconv>
#include <format>

#include "core/ascii.h"

namespace smackd::services::images {

using core::Errc;
using core::fail;
using core::Result;

namespace {

constexpr uint16_t kHttpPort = 80, kHttpsPort = 443;

bool printable(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; });
}

bool valid_host(std::string_view host) {
    auto allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
    };
    return !host.empty() && host.size() <= 253 && std::ranges::all_of(host, allowed);
}

bool valid_v6(std::string_view host) {
    auto allowed = [](char c) {
        return (c >= 'a' && c <= 'f') || (c >= '0' && c <= '9') || c == ':' || c == '.';
    };
    return host.size() >= 2 && host.size() <= 45 && std::ranges::all_of(host, allowed);
}

Result<void> parse_authority(std::string_view text, Url& into) {
    if (text.find('@') != std::string_view::npos) {
        return fail(Errc::kInvalid, "a URL must not hold a user name or password");
    }
    std::string_view port;
    if (text.starts_with('[')) {
        const size_t close = text.find(']');
        if (close == std::string_view::npos) return fail(Errc::kInvalid, "the host's '[' is not closed");
        into.host = core::ascii_lower(text.substr(1, close - 1));
        if (!valid_v6(into.host)) return fail(Errc::kInvalid, "the host is no IPv6 address");
        port = text.substr(close + 1);
        if (!port.empty() && !port.starts_with(':'))
            return fail(Errc::kInvalid, "the port must follow a ':'");
    } else {
        const size_t colon = text.find(':');
        into.host = core::ascii_lower(text.substr(0, colon));
        if (!valid_host(into.host)) return fail(Errc::kInvalid, "the host is missing or has a bad character");
        if (colon != std::string_view::npos) port = text.substr(colon);
    }
    into.port = into.tls ? kHttpsPort : kHttpPort;
    if (port.size() <= 1) return {};
    port.remove_prefix(1);
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), into.port);
    if (error != std::errc() || end != port.data() + port.size() || into.port == 0) {
        return fail(Errc::kInvalid, "the port must be 1 to 65535");
    }
    return {};
}

}  // namespace

Result<Url> Url::parse(std::string_view text) {
    if (text.size() > kUrlBytesMax) return fail(Errc::kInvalid, "a URL has at most {} bytes", kUrlBytesMax);
    text = text.substr(0, text.find('#'));
    if (!printable(text)) return fail(Errc::kInvalid, "a URL has printable ASCII only; the rest is escaped");
    Url url;
    const size_t scheme = text.find("://");
    const std::string name =
        scheme == std::string_view::npos ? "" : core::ascii_lower(text.substr(0, scheme));
    if (name != "http" && name != "https")
        return fail(Errc::kInvalid, "a URL must begin with http:// or https://");
    url.tls = name == "https";
    text.remove_prefix(scheme + 3);
    const size_t end = std::min(text.find_first_of("/?"), text.size());
    TRY(parse_authority(text.substr(0, end), url));
    const std::string_view target = text.substr(end);
    url.target = target.starts_with('/') ? std::string(target) : "/" + std::string(target);
    return url;
}

Result<Url> Url::follow(std::string_view location) const {
    if (location.find("://") != std::string_view::npos &&
        location.find("://") < location.find_first_of("/?")) {
        return parse(location);
    }
    if (location.starts_with("//")) return parse(std::format("{}:{}", tls ? "https" : "http", location));
    if (location.empty() || location.size() > kUrlBytesMax || !printable(location)) {
        return fail(Errc::kInvalid, "the redirection leads nowhere");
    }
    Url next = *this;
    location = location.substr(0, location.find('#'));
    if (location.starts_with('/')) {
        next.target = location;
        return next;
    }
    const std::string path = target.substr(0, target.find('?'));
    next.target = path.substr(0, path.rfind('/') + 1) + std::string(location);
    return next;
}

bool Url::same_origin(const Url& other) const {
    return tls == other.tls && host == other.host && port == other.port;
}

std::string Url::shown() const {
    const bool v6 = host.find(':') != std::string::npos;
    const bool usual = port == (tls ? kHttpsPort : kHttpPort);
    return std::format("{}://{}{}{}{}{}", tls ? "https" : "http", v6 ? "[" : "", host, v6 ? "]" : "",
                       usual ? "" : std::format(":{}", port), target.substr(0, target.find('?')));
}

}  // namespace smackd::services::images
