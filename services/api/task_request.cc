#include "services/api/task_request.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "core/planted.h"

namespace smackd::services {

using core::Errc;
using core::fail;
using core::Result;
using net::http::Request;
using net::http::Response;

namespace {

constexpr std::array<std::string_view, 6> kMethods = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"};
constexpr std::array<std::string_view, 5> kFields = {"Accept", "Content-Type", "If-Match", "If-None-Match",
                                                     "Idempotency-Key"};
/// Two proofs in one request would leave it to us whom to believe.
constexpr std::array<std::string_view, 3> kCredentials = {"Authorization", "Cookie", "Proxy-Authorization"};
/// Of an answer: how to sign in, which a task cannot.
constexpr std::array<std::string_view, 2> kNotForTasks = {"WWW-Authenticate", "Set-Cookie"};

/// A body that is there already.
class WholeBody final : public net::http::BodyReader {
 public:
    explicit WholeBody(core::Bytes bytes) : bytes_(std::move(bytes)) {}
    net::Task<Result<size_t>> read(char* buffer, size_t size) override {
        const size_t length = std::min(size, bytes_.size() - at_);
        std::memcpy(buffer, bytes_.data() + at_, length);
        at_ += length;
        co_return length;
    }

 private:
    core::Bytes bytes_;
    size_t at_ = 0;
};

bool is_one_of(std::string_view name, auto& names) {
    return std::ranges::any_of(
        names, [&](std::string_view known) { return net::http::equal_ignoring_case(known, name); });
}

Result<void> check_size(std::string_view what, size_t bytes, size_t bytes_max) {
    if (bytes <= bytes_max) return {};
    return fail(Errc::kInvalid, "{}: {} bytes, the limit on a task's socket is {}", what, bytes, bytes_max);
}

}  // namespace

Result<wire::TaskRequest> task_request_of(std::string task, const Request& request, core::Bytes body) {
    if (!std::ranges::contains(kMethods, request.method))
        return fail(Errc::kInvalid, "method: must be GET, HEAD, POST, PUT, PATCH or DELETE");
    TRY(check_size("target", request.raw_target.size(), kTaskTargetBytesMax));
    TRY(check_size("body", body.size(), kTaskBodyBytesMax));
    wire::TaskRequest asked;
    asked.set_task(std::move(task));
    asked.set_method(request.method);
    asked.set_target(request.raw_target);
    asked.set_body(std::move(body));
    for (const auto& [name, value] : request.headers.fields()) {
        if (is_one_of(name, kCredentials) && !SMACK_BUG("fuzz_task_socket"))
            return fail(
                Errc::kInvalid,
                "{}: this socket speaks for its task alone; send requests of others to the API's address",
                name);
        if (!is_one_of(name, kFields) && !SMACK_BUG("fuzz_task_socket")) continue;
        wire::HttpField* field = asked.add_fields();
        field->set_name(name);
        field->set_value(value);
    }
    return asked;
}

Result<TaskHttpRequest> http_request_of(wire::TaskRequest request) {
    if (!std::ranges::contains(kMethods, request.method())) return fail(Errc::kInvalid, "method: is none");
    TRY(check_size("target", request.target().size(), kTaskTargetBytesMax));
    TRY(check_size("body", request.body().size(), kTaskBodyBytesMax));
    TaskHttpRequest made;
    TRY_ASSIGN(made.request.target, net::http::parse_target(request.target()));
    made.request.method = request.method();
    made.request.raw_target = request.target();
    for (const wire::HttpField& field : request.fields()) {
        if (!is_one_of(field.name(), kFields) || !net::http::valid_field_value(field.value()))
            return fail(Errc::kInvalid, "a task's request has no field '{}'", field.name().substr(0, 64));
        made.request.headers.add(field.name(), field.value());
    }
    made.request.expects_body = !request.body().empty();
    made.body = std::make_unique<WholeBody>(std::move(*request.mutable_body()));
    made.request.body = made.body.get();
    return made;
}

Result<wire::TaskResponse> task_response_of(Response response) {
    if (response.stream || response.upgrade)
        return fail(Errc::kUnsupported, "a stream of events is not for a task's socket");
    if (response.body.size() > kTaskAnswerBytesMax)
        return fail(Errc::kInvalid,
                    "the answer has {} bytes, the limit on a task's socket is {}: ask for less",
                    response.body.size(), kTaskAnswerBytesMax);
    wire::TaskResponse told;
    told.set_status(static_cast<uint32_t>(response.status));
    for (const auto& [name, value] : response.headers.fields()) {
        if (is_one_of(name, kNotForTasks)) continue;
        wire::HttpField* field = told.add_fields();
        field->set_name(name);
        field->set_value(value);
    }
    told.set_body(std::move(response.body));
    return told;
}

Result<Response> http_response_of(wire::TaskResponse response) {
    if (response.status() < 200 || response.status() > 599)
        return fail(Errc::kCorrupt, "the server's answer has no status");
    Response made;
    made.status = static_cast<int>(response.status());
    for (const wire::HttpField& field : response.fields()) {
        if (!net::http::valid_field_name(field.name()) || !net::http::valid_field_value(field.value()))
            return fail(Errc::kCorrupt, "the server's answer has a field that is none");
        made.headers.add(field.name(), field.value());
    }
    made.body = std::move(*response.mutable_body());
    return made;
}

}  // namespace smackd::services
