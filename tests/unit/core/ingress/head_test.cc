#include "core/ingress/head.h"

#include <catch2/catch_test_macros.hpp>
#include <string>

#include "core/ingress/chunks.h"

namespace smackd::core::ingress {
namespace {

/// What became of a request head: "ok", "incomplete", or the status.
std::string verdict(const std::string& text) {
    RequestHead head;
    HeadFailure failure;
    switch (parse_request_head(text, head, failure)) {
        case HeadState::kComplete:
            return "ok";
        case HeadState::kIncomplete:
            return "incomplete";
        case HeadState::kFailed:
            return std::to_string(failure.status);
    }
    return "";
}

std::string get(const std::string& fields) {
    return "GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n";
}

TEST_CASE("a request head is read in place") {
    const std::string text =
        "POST /a/b?c=d HTTP/1.1\r\nHost: P1.DCOS:8000\r\nContent-Length: 5\r\nX-A:  b c \r\nExpect: "
        "100-continue\r\n\r\nhello";
    RequestHead head;
    HeadFailure failure;
    REQUIRE(parse_request_head(text, head, failure) == HeadState::kComplete);
    CHECK(head.method == "POST");
    CHECK(head.target == "/a/b?c=d");
    CHECK(head.path() == "/a/b");
    CHECK(head.host() == "p1.dcos");
    CHECK(head.authority == "P1.DCOS:8000");
    CHECK(head.content_length == 5);
    CHECK(head.expects_continue);
    CHECK(head.persistent());
    CHECK_FALSE(head.idempotent());
    CHECK(text.substr(head.bytes) == "hello");
    CHECK(head.fields[2].value == "b c");
    for (size_t size = 0; size < head.bytes; ++size) CHECK(verdict(text.substr(0, size)) == "incomplete");
}

TEST_CASE("the absolute form names the host; HTTP/1.0 needs none") {
    RequestHead head;
    HeadFailure failure;
    const std::string absolute = "GET http://Other.org:81/x HTTP/1.1\r\nHost: a\r\n\r\n";
    REQUIRE(parse_request_head(absolute, head, failure) == HeadState::kComplete);
    CHECK(head.target == "/x");
    CHECK(head.host() == "other.org");
    REQUIRE(parse_request_head("GET / HTTP/1.0\r\n\r\n", head, failure) == HeadState::kComplete);
    CHECK(head.host().empty());
    CHECK_FALSE(head.persistent());
    CHECK(verdict("GET / HTTP/1.1\r\nHost: [fd00::1]:80\r\n\r\n") == "ok");
    CHECK(verdict("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n") == "ok");
}

TEST_CASE("what could be framed in two ways is refused") {
    CHECK(verdict(get("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")) == "400");
    CHECK(verdict(get("Content-Length: 5\r\nContent-Length: 5\r\n")) == "400");
    CHECK(verdict(get("Content-Length: 5, 5\r\n")) == "400");
    CHECK(verdict(get("Content-Length: +5\r\n")) == "400");
    CHECK(verdict(get("Content-Length: 5 5\r\n")) == "400");
    CHECK(verdict(get("Content-Length: 0x5\r\n")) == "400");
    CHECK(verdict(get("Content-Length: 99999999999999999999\r\n")) == "400");
    CHECK(verdict(get("Content-Length:\r\n")) == "400");
    CHECK(verdict(get("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")) == "400");
    CHECK(verdict(get("Transfer-Encoding: gzip, chunked\r\n")) == "501");
    CHECK(verdict(get("Transfer-Encoding: xchunked\r\n")) == "501");
    CHECK(verdict("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n") == "400");
    CHECK(verdict(get("Transfer-Encoding : chunked\r\n")) == "400");
    CHECK(verdict(get("X: a\r\n folded\r\n")) == "400");
    CHECK(verdict(get(" X: a\r\n")) == "400");
    CHECK(verdict(get("X: a\nContent-Length: 5\r\n")) == "400");
    CHECK(verdict(get(std::string("X: a\0b\r\n", 8))) == "400");
    CHECK(verdict(get("X: a\rb\r\n")) == "400");
    CHECK(verdict(get("X\r\n")) == "400");
    CHECK(verdict(get(": x\r\n")) == "400");
    CHECK(verdict("GET / HTTP/1.1\nHost: a\n\n") == "400");
    CHECK(verdict(get("Connection: close\r\nConnection: keep-alive\r\n")) == "400");
}

TEST_CASE("malformed request lines and hosts are refused") {
    CHECK(verdict("GET / HTTP/1.1\r\n\r\n") == "400");
    CHECK(verdict(get("Host: b\r\n")) == "400");
    CHECK(verdict("GET / HTTP/1.1\r\nHost: a b\r\n\r\n") == "400");
    CHECK(verdict("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n") == "400");
    CHECK(verdict("GET / HTTP/1.1\r\nHost: a:x\r\n\r\n") == "400");
    const std::string longest(kHostBytesMax, 'a');
    CHECK(verdict("GET / HTTP/1.1\r\nHost: " + longest + ".:65535\r\n\r\n") == "ok");
    CHECK(verdict("GET / HTTP/1.1\r\nHost: " + longest + "a\r\n\r\n") == "400");
    CHECK(verdict("GET / HTTP/1.1\r\nHost: a:065535\r\n\r\n") == "400");
    CHECK(verdict("GET / HTTP/2.0\r\nHost: a\r\n\r\n") == "505");
    CHECK(verdict("GET /\r\nHost: a\r\n\r\n") == "400");
    CHECK(verdict("GET  / HTTP/1.1\r\nHost: a\r\n\r\n") == "400");
    CHECK(verdict("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n") == "400");
    CHECK(verdict("G(T / HTTP/1.1\r\nHost: a\r\n\r\n") == "400");
    CHECK(verdict("GET a HTTP/1.1\r\nHost: a\r\n\r\n") == "400");
    CHECK(verdict("GET * HTTP/1.1\r\nHost: a\r\n\r\n") == "400");
    CHECK(verdict("GET http://u@b/ HTTP/1.1\r\nHost: a\r\n\r\n") == "400");
    CHECK(verdict("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n") == "405");
    CHECK(verdict(get("Expect: 200-ok\r\n")) == "417");
    CHECK(verdict(get("X: " + std::string(kHeadBytesMax, 'a') + "\r\n")) == "431");
    CHECK(verdict(std::string(kHeadBytesMax + 1, 'a')) == "431");
    std::string many;
    for (size_t i = 0; i < kFieldsMax; ++i) many += "X: y\r\n";
    CHECK(verdict(get(many)) == "431");
}

TEST_CASE("answers of backends") {
    ResponseHead head;
    HeadFailure failure;
    std::string kept;  // the head points into it
    auto state = [&](const std::string& text) {
        kept = text;
        return parse_response_head(kept, head, failure);
    };
    REQUIRE(state("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc") == HeadState::kComplete);
    CHECK(head.status == 200);
    CHECK(head.reason == "OK");
    CHECK(head.content_length == 3);
    CHECK(state("HTTP/1.1 204\r\n\r\n") == HeadState::kComplete);
    CHECK(state("HTTP/1.0 200 \r\nConnection: keep-alive\r\n\r\n") == HeadState::kComplete);
    CHECK(head.persistent());
    CHECK(state("HTTP/1.1 2x0 OK\r\n\r\n") == HeadState::kFailed);
    CHECK(state("HTTP/1.1 099 OK\r\n\r\n") == HeadState::kFailed);
    CHECK(state("ICY 200 OK\r\n\r\n") == HeadState::kFailed);
    CHECK(state("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n") ==
          HeadState::kFailed);
}

/// The data of a chunked body, fed in steps; "failed", or with "+" when it is not complete.
std::string chunked(const std::string& text, size_t step, size_t* rest = nullptr) {
    ChunkReader reader;
    std::string data;
    size_t at = 0;
    while (at < text.size() && !reader.done()) {
        const ChunkReader::Step got = reader.next(std::string_view(text).substr(at, step));
        if (got.part == ChunkReader::Part::kFailed) return "failed";
        if (got.part == ChunkReader::Part::kData) data += text.substr(at, got.bytes);
        at += got.bytes;
    }
    if (rest != nullptr) *rest = text.size() - at;
    return reader.done() ? data : data + "+";
}

TEST_CASE("chunked bodies, however they are cut") {
    for (size_t step : {1U, 2U, 3U, 7U, 100U}) {
        size_t rest = 0;
        CHECK(chunked("5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nT: x\r\n\r\nGET", step, &rest) == "hello world");
        CHECK(rest == 3);
        CHECK(chunked("5\r\nhel", step) == "hel+");
        for (const char* wrong : {"5\nhello\r\n0\r\n\r\n", "\r\n", "x\r\n", "5 \r\nhello\r\n",
                                  "5\r\nhelloX\r\n", "-5\r\n", "0x5\r\nhello\r\n", "5\r\nhello\n0\r\n\r\n",
                                  "0\r\nT: x\n\r\n", "0\r\n\rX", "1000000000000000\r\n", "5;a\nb\r\n"})
            CHECK(chunked(wrong, step) == "failed");
    }
    CHECK(chunked("1;" + std::string(kChunkLineBytesMax + 1, 'a') + "\r\nx", 100) == "failed");
    CHECK(chunked("0\r\nT: " + std::string(kTrailerBytesMax, 'a') + "\r\n\r\n", 100) == "failed");
}

}  // namespace
}  // namespace smackd::core::ingress
