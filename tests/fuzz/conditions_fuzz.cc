// What a request says beside its body: a query, then header lines "Name: value" of the conditions.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/assert.h"
#include "core/ids.h"
#include "services/api/conditions.h"

using namespace smackd;

namespace {

net::http::Request make_request(std::string_view text) {
    net::http::Request request;
    request.method = "PUT";
    const size_t line = text.find('\n');
    request.raw_target = "/g?" + std::string(text.substr(0, line));
    if (auto target = net::http::parse_target(request.raw_target)) request.target = std::move(*target);
    std::string_view rest = line == std::string_view::npos ? std::string_view{} : text.substr(line + 1);
    while (!rest.empty()) {
        const size_t end = rest.find('\n');
        const std::string_view field = rest.substr(0, end);
        if (const size_t colon = field.find(": "); colon != std::string_view::npos)
            request.headers.add(field.substr(0, colon), field.substr(colon + 2));
        rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
    }
    return request;
}

void check_revision(std::string_view text) {
    const auto revision = core::Revision::parse(text);
    if (revision) SMACK_ASSERT(*core::Revision::parse(revision->to_string()) == *revision);
}

void check_writes(const net::http::Request& request) {
    const auto conditions = services::WriteConditions::of(request);
    if (!conditions) {
        SMACK_ASSERT(conditions.error().code == core::Errc::kInvalid);
        return;
    }
    SMACK_ASSERT(!conditions->version || !conditions->must_be_absent);
    wire::Command command;
    const bool applied = conditions->apply_to(command, "group", "g", {3, 42}).has_value();
    const bool conditional = conditions->version || conditions->must_be_absent;
    SMACK_ASSERT(command.expected_size() == (applied && conditional ? 1 : 0));
    // Version 0 means "must not exist": nobody gets there by a version of his own.
    if (applied && conditions->version) SMACK_ASSERT(command.expected(0).version() != 0);
}

void check_idempotency(const net::http::Request& request) {
    const auto made = services::Idempotency::of(request, "alice@A.COM", "{}");
    if (!made) return;
    const std::string* key = request.headers.find("Idempotency-Key");
    SMACK_ASSERT((made->client != 0) == (key != nullptr));
    if (key != nullptr) SMACK_ASSERT(!key->empty() && key->size() <= services::kIdempotencyKeyBytesMax);
    const auto other = services::Idempotency::of(request, "bob@A.COM", "{}");
    SMACK_ASSERT(key == nullptr || other->client != made->client);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const net::http::Request request = make_request({reinterpret_cast<const char*>(data), size});
    check_writes(request);
    check_idempotency(request);
    if (const auto reads = services::ReadConditions::of(request)) {
        SMACK_ASSERT(reads->wait.count() >= 0 && reads->wait <= services::kReadWaitMax);
    }
    check_revision(request.headers.get("Last-Event-ID"));
    return 0;
}
