#include "auth/http_rules.h"

#include <algorithm>
#include <charconv>
#include <format>

#include "auth/token.h"
#include "core/ascii.h"
#include "core/planted.h"

namespace smackd::auth {
namespace {

using core::Errc;
using core::fail;
using core::Result;

bool equal_ignoring_case(std::string_view a, std::string_view b) {
    return std::ranges::equal(a, b,
                              [](char x, char y) { return core::ascii_lower(x) == core::ascii_lower(y); });
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

// RFC 6750 section 2.1 b64token.
bool is_token_text(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
               std::string_view("-._~+/=").contains(c);
    });
}

// "SCHEME rest": the rest without leading spaces, or nothing when the scheme is another.
bool take_scheme(std::string_view value, std::string_view scheme, std::string_view& rest) {
    if (!equal_ignoring_case(value.substr(0, scheme.size()), scheme)) return false;
    rest = value.substr(scheme.size());
    if (!rest.empty() && rest.front() != ' ') return false;
    rest = trimmed(rest);
    return true;
}

Result<Authorization> token_authorization(std::string_view token) {
    if (token.size() > kTokenBytesMax)
        return fail(Errc::kInvalid, "Authorization: token longer than {} bytes", kTokenBytesMax);
    if (!is_token_text(token)) return fail(Errc::kInvalid, "Authorization: malformed token");
    Authorization result;
    result.scheme = AuthScheme::kToken;
    result.token = token;
    return result;
}

// RFC 7617.
Result<Authorization> basic_authorization(std::string_view encoded, const AuthorizationRules& rules) {
    if (!rules.basic) {
        return fail(Errc::kUnauthenticated,
                    "Basic sign-in is off; use a ticket (kinit, then Negotiate) or smackd login");
    }
    if (!rules.tls) return fail(Errc::kUnauthenticated, "Basic sign-in needs TLS; use https");
    auto decoded = core::from_base64(encoded);
    if (!decoded) return fail(Errc::kInvalid, "Authorization: Basic is not followed by base64");
    const size_t colon = decoded->find(':');
    if (colon == std::string::npos || colon == 0)
        return fail(Errc::kInvalid, "Authorization: Basic needs USER:PASSWORD");
    Authorization result;
    result.scheme = AuthScheme::kBasic;
    result.user = decoded->substr(0, colon);
    result.password = decoded->substr(colon + 1);
    return result;
}

struct HostPort {
    std::string name;  // lower case, IPv6 in brackets
    uint16_t port = 0;
};

bool is_host_text(std::string_view name) {
    if (name.starts_with('[')) {
        return name.size() > 2 && name.ends_with(']') &&
               std::ranges::all_of(name.substr(1, name.size() - 2), [](char c) {
                   return (c >= '0' && c <= '9') ||
                          (core::ascii_lower(c) >= 'a' && core::ascii_lower(c) <= 'f') || c == ':' ||
                          c == '.';
               });
    }
    return !name.empty() && std::ranges::all_of(name, [](char c) {
        return (core::ascii_lower(c) >= 'a' && core::ascii_lower(c) <= 'z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '.' || c == '_';
    });
}

Result<HostPort> parse_host(std::string_view host) {
    HostPort result;
    std::string_view name = host;
    const size_t colon = host.rfind(':');
    const bool has_port = colon != std::string_view::npos && !host.ends_with(']');
    if (has_port) {
        const std::string_view digits = host.substr(colon + 1);
        name = host.substr(0, colon);
        const auto [end, error] = std::from_chars(digits.begin(), digits.end(), result.port);
        // A leading zero would give one server many names.
        if (digits.empty() || digits.front() == '0' || error != std::errc() || end != digits.end() ||
            result.port == 0) {
            return fail(Errc::kInvalid, "Host: the port is not a number from 1 to 65535");
        }
    }
    if (host.size() > 261 || !is_host_text(name)) return fail(Errc::kInvalid, "Host: not NAME or NAME:PORT");
    result.name = core::ascii_lower(name);
    if (result.name.size() > 1 && result.name.ends_with('.')) result.name.pop_back();  // the root label
    return result;
}

bool is_json(std::string_view content_type) {
    const std::string type = core::ascii_lower(trimmed(content_type.substr(0, content_type.find(';'))));
    return type == "application/json" || (type.starts_with("application/") && type.ends_with("+json"));
}

bool changes_state(std::string_view method) {
    return method != "GET" && method != "HEAD" && method != "OPTIONS";
}

}  // namespace

Result<Authorization> parse_authorization(std::string_view value, const AuthorizationRules& rules) {
    value = trimmed(value);
    if (value.empty()) return Authorization{};
    if (value.size() > kAuthorizationBytesMax) {
        return fail(Errc::kInvalid, "Authorization: longer than {} bytes", kAuthorizationBytesMax);
    }
    if (value.starts_with("token=")) return token_authorization(value.substr(6));  // DC/OS clients
    std::string_view rest;
    if (take_scheme(value, "Negotiate", rest)) {
        TRY_ASSIGN(core::Bytes token, parse_negotiate(value));
        Authorization result;
        result.scheme = AuthScheme::kNegotiate;
        result.negotiate = std::move(token);
        return result;
    }
    if (take_scheme(value, "Bearer", rest)) return token_authorization(rest);
    if (take_scheme(value, "Basic", rest)) return basic_authorization(rest, rules);
    return fail(Errc::kUnauthenticated,
                "Authorization: only Negotiate (a Kerberos ticket) and Bearer (smackd login) are known");
}

Result<core::Bytes> parse_negotiate(std::string_view value) {
    if (value.size() > kAuthorizationBytesMax) {
        return fail(Errc::kInvalid, "Negotiate: longer than {} bytes", kAuthorizationBytesMax);
    }
    std::string_view encoded;
    if (!take_scheme(trimmed(value), "Negotiate", encoded))
        return fail(Errc::kInvalid, "not a Negotiate header");
    if (encoded.empty() && !SMACK_BUG("fuzz_negotiate_header")) {
        return fail(Errc::kInvalid, "Negotiate: the token is missing");
    }
    auto token = core::from_base64(encoded);
    if (!token) return fail(Errc::kInvalid, "Negotiate: the token is not base64");
    return token;
}

std::string format_negotiate(core::BytesView token) {
    return token.empty() ? "Negotiate" : "Negotiate " + core::to_base64(token);
}

Result<void> check_host(std::string_view host, const HostRules& rules) {
    if (host.empty()) return fail(Errc::kInvalid, "Host: the header is missing");
    TRY_ASSIGN(const HostPort given, parse_host(host));
    const bool ours = std::ranges::find(rules.names, given.name) != rules.names.end();
    if (!ours || (rules.port != 0 && given.port != 0 && given.port != rules.port)) {
        return fail(Errc::kDenied, "Host: {} is not a name of this server; use {}", host,
                    rules.names.empty() ? "none" : rules.names.front());
    }
    return {};
}

Result<void> check_cross_site(const CrossSiteFacts& facts) {
    if (!changes_state(facts.method) || !facts.ambient) return {};
    if (!facts.sec_fetch_site.empty() && facts.sec_fetch_site != "same-origin") {
        return fail(Errc::kDenied, "refused: another web site asked for this change (Sec-Fetch-Site: {})",
                    facts.sec_fetch_site);
    }
    if (!facts.origin.empty()) {
        const std::string ours = std::format("{}://{}", facts.tls ? "https" : "http", facts.host);
        if (!equal_ignoring_case(facts.origin, ours)) {
            return fail(Errc::kDenied, "refused: another web site asked for this change (Origin: {})",
                        facts.origin);
        }
    }
    // A page of another site can send a POST without asking first, but only of form types or of none.
    if ((facts.method == "POST" || facts.has_body) && !is_json(facts.content_type)) {
        return fail(Errc::kDenied, "refused: a change needs Content-Type: application/json");
    }
    return {};
}

Result<std::string> find_cookie(std::string_view header, std::string_view name) {
    if (header.size() > kCookieHeaderBytesMax) {
        return fail(Errc::kInvalid, "Cookie: longer than {} bytes", kCookieHeaderBytesMax);
    }
    std::string found;
    bool seen = false;
    while (!header.empty()) {
        const size_t end = std::min(header.find(';'), header.size());
        const std::string_view pair = trimmed(header.substr(0, end));
        header.remove_prefix(std::min(end + 1, header.size()));
        const size_t equals = pair.find('=');
        if (equals == std::string_view::npos || pair.substr(0, equals) != name) continue;
        // Twice means that somebody else set one of them: neither can be trusted.
        if (seen) return fail(Errc::kInvalid, "Cookie: {} is given twice", name);
        seen = true;
        found = pair.substr(equals + 1);
        if (!is_token_text(found)) return fail(Errc::kInvalid, "Cookie: {} is malformed", name);
    }
    return found;
}

std::string session_cookie(std::string_view token, int64_t life_s, bool tls) {
    return std::format("{}={}; Path=/; Max-Age={}; HttpOnly; SameSite=Strict{}",
                       tls ? kSecureSessionCookie : kSessionCookie, token, life_s, tls ? "; Secure" : "");
}

std::string expired_session_cookie(bool tls) {
    return session_cookie("", 0, tls);
}

}  // namespace smackd::auth
