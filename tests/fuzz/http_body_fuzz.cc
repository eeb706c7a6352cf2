// Bodies of requests and responses after a fixed head: limits hold, and cutting the bytes differently changes
// nothing.

#include <cstdlib>

#include "net/http/parser.h"

namespace {

using smackd::net::http::Parser;

constexpr uint64_t kBodyMax = 2000;

std::pair<Parser::State, std::string> parse(Parser::Kind kind, std::string_view bytes, size_t step) {
    Parser parser(kind, {4096, 20, kBodyMax});
    parser.feed(kind == Parser::Kind::kRequest
                    ? "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                    : "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    std::string body;
    for (size_t at = 0; at < bytes.size();) {
        size_t taken = parser.feed(bytes.substr(at, step));
        body += std::exchange(parser.body(), {});
        at += taken;
        if (parser.state() != Parser::State::kBody || taken == 0) break;
    }
    parser.end_of_stream();
    if (body.size() > kBodyMax) std::abort();
    if (parser.state() == Parser::State::kFailed) body.clear();
    return {parser.state(), body};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::string_view bytes(reinterpret_cast<const char*>(data), size);
    for (Parser::Kind kind : {Parser::Kind::kRequest, Parser::Kind::kResponse}) {
        if (parse(kind, bytes, size == 0 ? 1 : size) != parse(kind, bytes, 1)) std::abort();
    }
    return 0;
}
