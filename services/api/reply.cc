#include "services/api/reply.h"

#include <algorithm>
#include <string>

namespace smackd::services {

using core::Errc;
using core::Json;
using net::http::Response;

namespace {

constexpr uint32_t kRetryAfterDefaultMs = 1000;  ///< for "later" without a hint

bool means_later(Errc code) {
    return code == Errc::kBusy || code == Errc::kUnavailable || code == Errc::kUnknownOutcome;
}

uint32_t retry_after_ms(const core::Error& error) {
    if (error.retry_after_ms != 0) return error.retry_after_ms;
    return means_later(error.code) ? kRetryAfterDefaultMs : 0;
}

}  // namespace

Response json_reply(int status, const Json& body) {
    Response response;
    response.status = status;
    response.body = body.dump();
    response.body += '\n';
    response.headers.add("Content-Type", "application/json");
    response.headers.add("Cache-Control", "no-store");
    response.headers.add("X-Content-Type-Options", "nosniff");
    return response;
}

Json error_to_json(const core::Error& error) {
    Json inner;
    inner.set("code", core::errc_name(error.code)).set("message", error.message);
    if (const uint32_t after = retry_after_ms(error); after != 0) inner.set("retry_after_ms", after);
    Json json;
    json.set("error", std::move(inner));
    return json;
}

Response error_reply(const core::Error& error) {
    return error_reply(error, core::http_status(error.code));
}

Response error_reply(const core::Error& error, int status) {
    Response response = json_reply(status, error_to_json(error));
    if (const uint32_t after = retry_after_ms(error); after != 0) {
        response.headers.add("Retry-After", std::to_string(std::max(1U, (after + 999) / 1000)));
    }
    return response;
}

}  // namespace smackd::services
