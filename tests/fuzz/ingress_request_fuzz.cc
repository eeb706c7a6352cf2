// Requests at the ingress: whatever it accepts, llhttp frames in the same way, and what goes on to the
// backend frames the same body again. That is what keeps a request from being smuggled.

#include <cstdlib>

#include "core/ingress/chunks.h"
#include "core/ingress/forward.h"
#include "net/http/parser.h"

namespace {

using namespace smackd::core;
using namespace smackd::core::ingress;
using Parser = smackd::net::http::Parser;

struct Message {
    bool complete = false;
    bool failed = false;
    Bytes body;
    size_t bytes = 0;  ///< of all of it
};

/// The body behind a head that the ingress has accepted.
Message read_body(const RequestHead& head, BytesView bytes) {
    Message message;
    if (!head.chunked) {
        const uint64_t length = head.content_length.value_or(0);
        message.complete = bytes.size() >= length;
        message.body = bytes.substr(0, length);
        message.bytes = message.body.size();
        return message;
    }
    ChunkReader chunks;
    while (message.bytes < bytes.size() && !chunks.done()) {
        const ChunkReader::Step step = chunks.next(bytes.substr(message.bytes));
        message.failed = step.part == ChunkReader::Part::kFailed;
        if (message.failed) return message;
        if (step.part == ChunkReader::Part::kData) message.body += bytes.substr(message.bytes, step.bytes);
        message.bytes += step.bytes;
    }
    message.complete = chunks.done();
    return message;
}

/// What llhttp makes of the same bytes.
Message read_strictly(BytesView bytes) {
    Parser parser(Parser::Kind::kRequest, {256 * 1024, 500, 1ULL << 62});
    Message message;
    while (message.bytes < bytes.size()) {
        const size_t taken = parser.feed(bytes.substr(message.bytes));
        message.bytes += taken;
        if (parser.state() == Parser::State::kDone || parser.state() == Parser::State::kFailed || taken == 0)
            break;
    }
    message.failed = parser.state() == Parser::State::kFailed;
    message.complete = parser.state() == Parser::State::kDone;
    message.body = parser.body();
    return message;
}

/// The request as a backend gets it.
Bytes forwarded(const RequestHead& head, const Message& message) {
    Bytes out;
    write_request_head(
        head, {.client = "10.0.0.7", .tls = false, .port = 80, .backend = "b", .sticky_cookie = "s"}, out);
    if (!head.chunked) return out + message.body;
    if (!message.body.empty()) out += std::format("{:x}\r\n{}\r\n", message.body.size(), message.body);
    return out + "0\r\n\r\n";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const BytesView bytes(reinterpret_cast<const char*>(data), size);
    RequestHead head;
    HeadFailure failure;
    ResponseHead response;
    static_cast<void>(parse_response_head(bytes, response, failure));
    if (parse_request_head(bytes, head, failure) != HeadState::kComplete) return 0;
    // Methods of their own are for backends to judge; llhttp knows a list.
    for (const char* method : {"GET", "POST", "PUT", "HEAD", "DELETE", "OPTIONS"}) {
        if (head.method != method) continue;
        const Message ours = read_body(head, bytes.substr(head.bytes));
        const Message strict = read_strictly(bytes);
        if (!ours.failed && ours.complete) {
            // Where llhttp is stricter, nothing is lost; where it reads on, both must end at the same byte.
            if (!strict.failed && (!strict.complete || strict.bytes != head.bytes + ours.bytes)) std::abort();
            if (!strict.failed && strict.body != ours.body) std::abort();
            const Bytes next = forwarded(head, ours);
            const Message at_backend = read_strictly(next);
            if (at_backend.failed || !at_backend.complete || at_backend.bytes != next.size()) std::abort();
            if (at_backend.body != ours.body) std::abort();
        }
    }
    return 0;
}
