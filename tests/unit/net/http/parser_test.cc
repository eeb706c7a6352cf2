#include "net/http/parser.h"

#include <catch2/catch_test_macros.hpp>

namespace smackd::net::http {
namespace {

const ParserLimits kLimits{4096, 20, 1000};

struct Parsed {
    Parser::State state = Parser::State::kHead;
    int failure = 0;
    std::string method;
    std::string body;
    size_t taken = 0;
};

/// Feeds in pieces of `step` bytes.
Parsed parse(std::string_view bytes, size_t step) {
    Parser parser(Parser::Kind::kRequest, kLimits);
    Parsed parsed;
    while (parsed.taken < bytes.size()) {
        std::string piece(
            bytes.substr(parsed.taken, step));  // an own allocation: the sanitizer sees overreads
        size_t taken = parser.feed(piece);
        parsed.taken += taken;
        parsed.body += std::exchange(parser.body(), {});
        bool ended = parser.state() == Parser::State::kDone || parser.state() == Parser::State::kFailed;
        if (ended) break;
    }
    parsed.state = parser.state();
    parsed.method = parser.head().method;
    if (parsed.state == Parser::State::kFailed) parsed.failure = parser.failure().status;
    return parsed;
}

TEST_CASE("a message ends where its framing says, however it is cut") {
    const std::string next = "GET /next HTTP/1.1\r\n";
    const std::pair<std::string, std::string> cases[] = {
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", ""},
        {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", ""},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", "hello"},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
         "chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n",
         "hello"},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\nTrailer: "
         "x\r\n\r\n",
         "hello"},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", ""},
        {"POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\nContent-Length: 2\r\n\r\nhi",
         "hi"},
        {"GET / HTTP/1.0\r\n\r\n", ""},
    };
    for (const auto& [message, body] : cases) {
        for (size_t step : {size_t{1}, size_t{2}, size_t{7}, message.size(), message.size() + next.size()}) {
            INFO(message << " step " << step);
            Parsed parsed = parse(message + next, step);
            CHECK(parsed.state == Parser::State::kDone);
            CHECK(parsed.taken == message.size());
            CHECK(parsed.body == body);
        }
    }
}

TEST_CASE("messages that two readers might frame differently are refused") {
    const std::string h = "POST / HTTP/1.1\r\nHost: a\r\n";
    const std::pair<std::string, int> cases[] = {
        {h + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
        {h + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400},
        {h + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400},
        {h + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", 400},
        {h + "Content-Length: 5, 5\r\n\r\nhello", 400},
        {h + "Content-Length: +5\r\n\r\nhello", 400},
        {h + "Content-Length: -5\r\n\r\nhello", 400},
        {h + "Content-Length: 0x5\r\n\r\nhello", 400},
        {h + "Content-Length: 5 5\r\n\r\nhello", 400},
        {h + "Content-Length:\r\n\r\n", 400},
        {h + "Content-Length: 99999999999999999999999\r\n\r\n", 400},
        {h + "Content-Length : 5\r\n\r\nhello", 400},
        {h + " Content-Length: 5\r\n\r\nhello", 400},
        {h + "X: a\r\n b\r\n\r\n", 400},
        {h + "X: a\r\n\tb\r\n\r\n", 400},
        {h + "X\r\n\r\n", 400},
        {h + ": x\r\n\r\n", 400},
        {h + std::string("X: a\0b\r\n\r\n", 10), 400},
        {h + "X: a\rb\r\n\r\n", 400},
        {h + "X: a\nY: b\r\n\r\n", 400},
        {"GET / HTTP/1.1\nHost: a\n\n", 400},
        {h + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
        {h + "Transfer-Encoding: identity\r\n\r\n", 501},
        {h + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
        {h + "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 400},
        {h + "Transfer-Encoding: xchunked\r\n\r\n", 501},
        {h + "Transfer-Encoding: \x0b"
             "chunked\r\n\r\n0\r\n\r\n",
         400},
        {h + "Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n", 400},
        {h + "Transfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n", 400},
        {h + "Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n", 400},
        {h + "Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n", 400},
        {h + "Transfer-Encoding: chunked\r\n\r\n5\r\nhelloo\r\n0\r\n\r\n", 400},
        {h + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello0\r\n\r\n", 400},
        {h + "Transfer-Encoding: chunked\r\n\r\n10000000000000005\r\nhello\r\n0\r\n\r\n", 400},
        {h + "Transfer-Encoding: chunked\r\n\r\n5;" + std::string(5000, 'x') + "\r\nhello\r\n0\r\n\r\n", 400},
        {"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400},
        {"GET / x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400},
        {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
        {"GET / HTTP/1.2\r\nHost: a\r\n\r\n", 400},
        {"GET /\r\n\r\n", 505},
        {"G\x01T / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {h + "Expect: 200-ok\r\nContent-Length: 1\r\n\r\nx", 417},
        {"\x16\x03\x01", 400},
        {h + "Content-Length: 1001\r\n\r\n", 413},
        {h + "Transfer-Encoding: chunked\r\n\r\n3e9\r\n" + std::string(1001, 'x') + "\r\n0\r\n\r\n", 413},
        {h + "X: " + std::string(5000, 'x') + "\r\n\r\n", 431},
        {"GET /" + std::string(5000, 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n", 431},
        {std::string(20000, '\n'), 431},
    };
    for (const auto& [message, status] : cases) {
        for (size_t step : {size_t{1}, size_t{3}, message.size()}) {
            INFO(message.substr(0, 200) << " step " << step);
            Parsed parsed = parse(message, step);
            CHECK(parsed.state == Parser::State::kFailed);
            CHECK(parsed.failure == status);
        }
    }
}

TEST_CASE("too many fields are refused, trailers among them") {
    std::string fields;
    for (int i = 0; i < 20; ++i) fields += "X: y\r\n";
    CHECK(parse("GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n", 100).failure == 431);
    std::string chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";
    CHECK(parse(chunked + fields + "\r\n", 100).failure == 431);
}

TEST_CASE("responses end by length, chunks, rule or the end of the connection") {
    auto response = [](std::string_view bytes, bool head) {
        Parser parser(Parser::Kind::kResponse, kLimits);
        if (head) parser.expect_no_body();
        parser.feed(bytes);
        if (parser.state() != Parser::State::kDone) parser.end_of_stream();
        return std::pair(parser.state(), parser.body());
    };
    using enum Parser::State;
    CHECK(response("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", false) ==
          std::pair(kDone, core::Bytes("hi")));
    CHECK(response("HTTP/1.1 200 OK\r\n\r\nhi", false) == std::pair(kDone, core::Bytes("hi")));
    CHECK(response("HTTP/1.1 204 No\r\n\r\n", false).first == kDone);
    CHECK(response("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", true) == std::pair(kDone, core::Bytes()));
    CHECK(response("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi", false).first == kFailed);
    CHECK(response("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", false).first ==
          kFailed);
    CHECK(response("HTTP/1.1 200 OK\r\nContent-Le", false).first == kFailed);
    CHECK(response("SSH-2.0-x\r\n", false).first == kFailed);
}

}  // namespace
}  // namespace smackd::net::http
