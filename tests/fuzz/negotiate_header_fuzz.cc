// What an HTTP client may write into Authorization, Host and Cookie, and the GSS token inside.
#include <algorithm>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "auth/http_rules.h"
#include "auth/ticket_diagnosis.h"
#include "core/assert.h"

using namespace smackd;

namespace {

void check_authorization(std::string_view value) {
    const auto parsed = auth::parse_authorization(value, {.basic = true, .tls = true});
    if (!parsed) return;
    switch (parsed->scheme) {
        case auth::AuthScheme::kNone:
            return;
        case auth::AuthScheme::kNegotiate: {
            SMACK_ASSERT(!parsed->negotiate.empty());
            const auto again = auth::parse_negotiate(auth::format_negotiate(parsed->negotiate));
            SMACK_ASSERT(again && *again == parsed->negotiate);
            const core::BytesView ap_req = auth::find_ap_req(parsed->negotiate);
            SMACK_ASSERT(ap_req.empty() || parsed->negotiate.find(ap_req) != std::string::npos);
            return;
        }
        case auth::AuthScheme::kToken:
            SMACK_ASSERT(!parsed->token.empty() && !parsed->token.contains(' ') &&
                         !parsed->token.contains('\n'));
            return;
        case auth::AuthScheme::kBasic:
            SMACK_ASSERT(!parsed->user.empty());
            return;
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view value(reinterpret_cast<const char*>(data), size);
    check_authorization(value);
    (void)auth::find_ap_req(value);
    (void)auth::find_cookie(value, auth::kSessionCookie);
    const bool ours = auth::check_host(value, {{"localhost", "[::1]"}, 5050}).has_value();
    SMACK_ASSERT(!ours || value.size() <= 16);
    // A change is taken from our own page only (or from no page: no Origin).
    const auto origin = auth::check_cross_site({.method = "PUT",
                                                .content_type = "application/json",
                                                .origin = value,
                                                .host = "localhost:5050",
                                                .has_body = true});
    const auto same = [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; };
    SMACK_ASSERT(!origin || value.empty() ||
                 std::ranges::equal(value, std::string_view("http://localhost:5050"), same));
    return 0;
}
