// What an HTTP door demands before it looks at a request: who, from which page, under which host name. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.h"
#include "core/result.h"

namespace smackd::auth {

inline constexpr size_t kAuthorizationBytesMax = 64 * 1024;
inline constexpr size_t kCookieHeaderBytesMax = 16 * 1024;
inline constexpr std::string_view kSessionCookie = "smack_session";  ///< plain HTTP on loopback (demo)
inline constexpr std::string_view kSecureSessionCookie = "__Host-smack_session";  ///< TLS

enum class AuthScheme : uint8_t { kNone, kNegotiate, kToken, kBasic };

struct Authorization {
    AuthScheme scheme = AuthScheme::kNone;
    core::Bytes negotiate;  ///< decoded GSS token
    std::string token;      ///< of "Bearer TOKEN" and "token=TOKEN"
    std::string user;       ///< Basic
    std::string password;   ///< Basic
};

struct AuthorizationRules {
    bool basic = false;  ///< switched on by the operator
    bool tls = false;    ///< the request came over TLS; without it Basic is refused
};

/// Reads an Authorization header's value; empty text is kNone. kInvalid (400) for a malformed value,
/// kUnauthenticated for a scheme that is off here, with what to use instead.
core::Result<Authorization> parse_authorization(std::string_view value, const AuthorizationRules& rules);

/// Reads the token of a Negotiate header (either direction): one base64 token, at most
/// kAuthorizationBytesMax.
core::Result<core::Bytes> parse_negotiate(std::string_view value);
/// "Negotiate BASE64", or "Negotiate" for an empty token.
std::string format_negotiate(core::BytesView token);

/// Host names (without port, lower case) this door answers to.
struct HostRules {
    std::vector<std::string>
        names;          ///< e.g. {"localhost", "n1.example.com"}; IP literals as "127.0.0.1", "[::1]"
    uint16_t port = 0;  ///< the door's port; 0: any
};
/// kInvalid for a missing or malformed Host, kDenied for one that is not ours (DNS rebinding).
core::Result<void> check_host(std::string_view host, const HostRules& rules);

/// What of a request the cross-site rule looks at; empty text means the header was not sent.
struct CrossSiteFacts {
    std::string_view method{};
    std::string_view content_type{};
    std::string_view origin{};
    std::string_view sec_fetch_site{};
    std::string_view host{};
    bool tls = false;
    bool ambient = true;  ///< authenticated by Negotiate, Basic or a cookie: what a browser adds by itself
    bool has_body = false;
};
/// A state-changing request (not GET, HEAD, OPTIONS) with ambient authority must be same-origin where the
/// browser says so, and have a JSON content type. kDenied names the header.
core::Result<void> check_cross_site(const CrossSiteFacts& facts);

/// The value of cookie `name` in a Cookie header; empty when absent. kInvalid when malformed or given twice.
core::Result<std::string> find_cookie(std::string_view header, std::string_view name);
/// A Set-Cookie value: HttpOnly, SameSite=Strict, Path=/, with Secure and the __Host- prefix over TLS.
std::string session_cookie(std::string_view token, int64_t life_s, bool tls);
/// A Set-Cookie value that removes the session.
std::string expired_session_cookie(bool tls);

}  // namespace smackd::auth
