// Heads as they go on: to a backend, and back to the client. Hop-by-hop fields end here, framing is written
// anew, credentials of our own API are taken out.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.h"
#include "core/ingress/head.h"

namespace smackd::core::ingress {

/// Who sends to backends must not show them what opens our API.
struct ApiCredentials {
    std::vector<std::string> cookies;  ///< names
    std::vector<std::string> hosts;    ///< under which our API is reached; none: every host may be
    std::string token_issuer;          ///< of our tokens (JWT "iss")

    /// True for `Authorization: token=...`, for Negotiate to a host of ours, and for a Bearer token we
    /// issued.
    bool own_authorization(std::string_view value, std::string_view host) const;
    bool own_cookie(std::string_view name) const;
};

struct RequestRules {
    std::string_view client;  ///< address
    bool tls = false;
    uint16_t port = 0;               ///< the client came to
    std::string_view backend;        ///< Host of requests that have none (HTTP/1.0)
    std::string_view sticky_cookie;  ///< is for us alone; empty: none
    const ApiCredentials* api = nullptr;
};
/// Appends the head of the request as the backend gets it. Its body follows as `head` frames it.
void write_request_head(const RequestHead& head, const RequestRules& rules, Bytes& out);

/// How the body of an answer goes to the client.
enum class BodyFraming : uint8_t { kNone, kLength, kChunked, kUntilClose };

struct ResponseRules {
    BodyFraming framing = BodyFraming::kNone;
    bool close = false;          ///< the connection to the client ends with this answer
    bool client_is_1_0 = false;  ///< and wants to be told that it does not
    bool hsts = false;
    std::string_view set_cookie;  ///< of a sticky pool; empty: none
    const ApiCredentials* api = nullptr;
};
/// Appends the head of the answer as the client gets it. A 1xx or 101 keeps its own framing: none.
void write_response_head(const ResponseHead& head, const ResponseRules& rules, Bytes& out);

/// The cookie `name` among those of a request; empty when it is not there.
std::string_view find_cookie(const RequestHead& head, std::string_view name);

/// An answer of our own: plain text, one sentence.
Bytes plain_answer(int status, std::string_view reason, bool close, bool head_only,
                   std::string_view extra_fields = {});
std::string_view status_text(int status);

}  // namespace smackd::core::ingress
