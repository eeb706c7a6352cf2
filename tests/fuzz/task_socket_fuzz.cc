// What a task may send to its socket: requests one after the other as HTTP, cut anyhow. Each becomes what a
// node asks a server, which must take it, and nothing else of it crosses. Input that begins with a zero byte
// is what a node that somebody has broken into may ask.
#include <algorithm>
#include <array>
#include <string_view>

#include "core/assert.h"
#include "net/http/parser.h"
#include "services/api/task_request.h"

using namespace smackd;
using namespace smackd::services;
using net::http::Parser;

namespace {

// As cmd/smackd/node/task_sockets.cc has them.
constexpr size_t kHeadBytesMax = 8 * 1024;
constexpr size_t kHeadersMax = 50;
constexpr std::array<std::string_view, 5> kCross = {"Accept", "Content-Type", "If-Match", "If-None-Match",
                                                    "Idempotency-Key"};

void check_crossed(const TaskHttpRequest& made) {
    SMACK_ASSERT(made.request.raw_target.size() <= kTaskTargetBytesMax);
    SMACK_ASSERT(made.request.path().starts_with('/') && !made.request.path().contains("/../"));
    for (const auto& [name, value] : made.request.headers.fields()) {
        SMACK_ASSERT(std::ranges::any_of(
            kCross, [&](std::string_view known) { return net::http::equal_ignoring_case(known, name); }));
        SMACK_ASSERT(value.find_first_of("\r\n") == std::string::npos);
    }
}

// One message that the parser has taken whole.
void check_message(net::http::Head& head, core::Bytes body) {
    net::http::Request request;
    request.method = head.method;
    request.raw_target = head.target;
    request.headers = std::move(head.headers);
    auto target = net::http::parse_target(request.raw_target);
    if (!target) return;  // answered 400 before anybody is asked
    request.target = std::move(*target);
    const size_t length = body.size();
    auto asked = task_request_of("task", request, std::move(body));
    if (!asked) return;
    wire::TaskRequest received;
    SMACK_ASSERT(received.ParseFromString(asked->SerializeAsString()));
    SMACK_ASSERT(received.task() == "task" && received.body().size() == length);
    const auto made = http_request_of(std::move(received));
    SMACK_ASSERT(made && made->request.method == request.method && made->request.path() == request.path());
    check_crossed(*made);
}

void check_stream(std::string_view bytes, size_t step) {
    Parser parser(Parser::Kind::kRequest, {kHeadBytesMax, kHeadersMax, kTaskBodyBytesMax});
    core::Bytes body;
    while (!bytes.empty()) {
        const size_t taken = parser.feed(bytes.substr(0, step));
        bytes.remove_prefix(taken);
        body += parser.body();
        parser.body().clear();
        if (parser.state() == Parser::State::kFailed ||
            (taken == 0 && parser.state() != Parser::State::kDone))
            return;
        if (parser.state() != Parser::State::kDone) continue;
        SMACK_ASSERT(body.size() <= kTaskBodyBytesMax);
        check_message(parser.head(), std::exchange(body, {}));
        parser.next();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    if (bytes.empty()) return 0;
    if (bytes[0] == 0) {
        wire::TaskRequest request;
        if (!request.ParseFromArray(data + 1, static_cast<int>(size - 1))) return 0;
        if (const auto made = http_request_of(std::move(request))) check_crossed(*made);
        return 0;
    }
    check_stream(bytes, size);
    check_stream(bytes, 7);
    return 0;
}
