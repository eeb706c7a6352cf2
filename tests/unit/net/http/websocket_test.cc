#include "net/http/websocket.h"

#include <catch2/catch_test_macros.hpp>

#include "net/http/client.h"
#include "net/http/server.h"
#include "net/http/websocket_stream.h"
#include "net/scope.h"
#include "tests/unit/net/authority.h"

namespace smackd::net::http {
namespace {

using core::Bytes;
using core::Errc;
using core::Result;
using Kind = WebSocketMessage::Kind;
using std::string_literals::operator""s;

constexpr uint32_t kMask = 0x37fa213d;  // of section 5.7

/// "text:Hello", "close 1000:bye", ... of everything in the bytes, fed in pieces of that size; an error is
/// its close code.
std::string told(const Bytes& bytes, size_t piece, WebSocketRole role = WebSocketRole::kServer,
                 size_t message_bytes_max = 70'000) {
    WebSocketDecoder decoder(role, message_bytes_max);
    std::string all;
    for (size_t at = 0; at < bytes.size(); at += piece) {
        decoder.feed(core::BytesView(bytes).substr(at, piece));
        for (;;) {
            auto next = decoder.next();
            if (!next) return all + "!" + std::to_string(decoder.close_code());
            if (!*next) break;
            const WebSocketMessage& message = **next;
            switch (message.kind) {
                case Kind::kText:
                    all += "text:";
                    break;
                case Kind::kBinary:
                    all += "binary:";
                    break;
                case Kind::kClose:
                    all += "close " + std::to_string(message.close_code) + ":";
                    break;
                case Kind::kPing:
                    all += "ping:";
                    break;
                case Kind::kPong:
                    all += "pong:";
                    break;
            }
            all += (message.bytes.size() > 100 ? std::to_string(message.bytes.size()) : message.bytes) + " ";
        }
    }
    return all;
}

/// Whatever pieces they come in.
std::string decoded(const Bytes& bytes, WebSocketRole role = WebSocketRole::kServer) {
    const std::string whole = told(bytes, bytes.size() + 1, role);
    for (const size_t piece : {size_t{1}, size_t{2}, size_t{3}, size_t{7}})
        CHECK(told(bytes, piece, role) == whole);
    return whole;
}

/// A masked frame with these first bits.
Bytes frame(uint8_t first, const Bytes& payload) {
    Bytes made = websocket_frame(Kind::kText, payload, kMask);
    made[0] = static_cast<char>(first);
    return made;
}

TEST_CASE("the examples of RFC 6455 section 5.7") {
    CHECK(decoded("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"s) == "text:Hello ");
    CHECK(decoded("\x81\x05Hello"s, WebSocketRole::kClient) == "text:Hello ");
    CHECK(decoded("\x01\x03Hel\x80\x02lo"s, WebSocketRole::kClient) == "text:Hello ");
    CHECK(decoded("\x89\x05Hello\x8a\x05Hello"s, WebSocketRole::kClient) == "ping:Hello pong:Hello ");
    CHECK(decoded("\x82\x7e\x01\x00"s + Bytes(256, 'x'), WebSocketRole::kClient) == "binary:256 ");
    CHECK(decoded("\x82\x7f\0\0\0\0\0\x01\0\0"s + Bytes(65536, 'x'), WebSocketRole::kClient) ==
          "binary:65536 ");
    CHECK(websocket_frame(Kind::kText, "Hello", kMask) == "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"s);
    CHECK(websocket_frame(Kind::kText, "Hello") == "\x81\x05Hello"s);
    CHECK(websocket_frame(Kind::kBinary, Bytes(256, 'x')).starts_with("\x82\x7e\x01\x00x"s));
    CHECK(websocket_frame(Kind::kBinary, Bytes(65536, 'x')).starts_with("\x82\x7f\0\0\0\0\0\x01\0\0x"s));
}

TEST_CASE("fragments make one message, with control frames between them") {
    CHECK(decoded(frame(0x01, "one ") + frame(0x89, "?") + frame(0x00, "two ") + frame(0x80, "three") +
                  frame(0x82, "")) == "ping:? text:one two three binary: ");
    // A character may be cut by a border, but not by the end.
    CHECK(decoded(frame(0x01, "\xe2\x82") + frame(0x80, "\xac")) == "text:\xe2\x82\xac ");
    CHECK(decoded(frame(0x81, "\xe2\x82")) == "!1007");
    CHECK(decoded(frame(0x82, "\xe2\x82")) == "binary:\xe2\x82 ");
}

TEST_CASE("what breaks a rule is named by its close code") {
    CHECK(decoded("\x81\x05Hello"s) == "!1002");  // not masked
    CHECK(decoded(frame(0x81, "x"), WebSocketRole::kClient) == "!1002");
    CHECK(decoded(frame(0xc1, "x")) == "!1002");  // reserved bit
    CHECK(decoded(frame(0x83, "x")) == "!1002");  // opcodes that are none
    CHECK(decoded(frame(0x8b, "x")) == "!1002");
    CHECK(decoded(frame(0x80, "x")) == "!1002");  // nothing to continue
    CHECK(decoded(frame(0x01, "x") + frame(0x81, "y")) == "!1002");
    CHECK(decoded(frame(0x09, "x")) == "!1002");                  // a ping in pieces
    CHECK(decoded(frame(0x89, Bytes(126, 'x'))) == "!1002");      // too long for control
    CHECK(decoded("\x81\xfe\x00\x05\0\0\0\0Hello"s) == "!1002");  // a longer form than needed
    CHECK(decoded("\x81\xff\0\0\0\0\0\0\x01\x00"s) == "!1002");
    CHECK(decoded(frame(0x88, "\x03"s)) == "!1002");
    CHECK(decoded(frame(0x88, "\x03\xed"s)) == "!1002");  // 1005 is never sent
    CHECK(decoded(frame(0x88, "\x03\xe8\xff"s)) == "!1007");
    CHECK(decoded(frame(0x88, "")) == "close 1005: ");
    CHECK(decoded(frame(0x88, "\x03\xe8"s + "bye")) == "close 1000:bye ");
    CHECK(decoded(frame(0x88, "\x0f\xa0"s)) == "close 4000: ");
}

TEST_CASE("a message that is too long is refused by its header, or by the sum of its fragments") {
    CHECK(told("\x82\xff\0\0\0\0\x7f\xff\xff\xff"s, 100) == "!1009");
    CHECK(told("\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff"s, 100) == "!1009");
    CHECK(told(frame(0x02, Bytes(40'000, 'x')) + frame(0x80, Bytes(30'000, 'x')), 4096) == "binary:70000 ");
    CHECK(told(frame(0x02, Bytes(40'000, 'x')) + frame(0x80, Bytes(30'001, 'x')), 4096) == "!1009");
    Bytes many = frame(0x02, "");
    for (size_t count = 0; count < kWebSocketFragmentsMax; ++count) many += frame(0x00, "");
    CHECK(told(many, 4096) == "!1009");
}

TEST_CASE("a close reason is cut at a character's border") {
    std::string reason(121, 'x');
    reason += "\xe2\x82\xac";
    CHECK(websocket_close_payload(kCloseNormal, reason) == "\x03\xe8" + std::string(121, 'x'));
    CHECK(websocket_close_payload(kClosePolicy, "no") == "\x03\xf0no");
}

// ---- the handshake

Request good_request() {
    Request request;
    request.method = "GET";
    request.headers.add("Upgrade", "WebSocket");
    request.headers.add("Connection", "keep-alive, Upgrade");
    request.headers.add("Sec-WebSocket-Version", "13");
    request.headers.add("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    return request;
}

TEST_CASE("a handshake is checked, and what is wrong is named") {
    CHECK(websocket_accept("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    CHECK(!check_websocket_request(good_request()));
    struct Case {
        const char* header;
        const char* value;
        int status;
    };
    for (const auto& [header, value, status] :
         {Case{"Upgrade", "h2c", 426}, Case{"Connection", "close", 400},
          Case{"Sec-WebSocket-Version", "8", 426}, Case{"Sec-WebSocket-Key", "", 400},
          Case{"Sec-WebSocket-Key", "dGhlIHNhbXBsZQ==", 400}, Case{"Sec-WebSocket-Key", "?", 400}}) {
        Request request = good_request();
        request.headers.set(header, value);
        const auto refused = check_websocket_request(request);
        REQUIRE(refused);
        CHECK(refused->status == status);
        CHECK(refused->message.starts_with(std::string(header) + ": "));
    }
    Request twice = good_request();
    twice.headers.add("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    CHECK(check_websocket_request(twice)->status == 400);
    Request head = good_request();
    head.method = "HEAD";
    CHECK(check_websocket_request(head)->status == 400);
    Request body = good_request();
    body.expects_body = true;
    CHECK(check_websocket_request(body)->status == 400);
}

// ---- over a server

/// Says everything back, until the Close.
Task<void> echo(Loop& loop, Stream& stream, Bytes rest) {
    WebSocket socket(loop, stream, WebSocketRole::kServer, std::move(rest));
    for (;;) {
        auto message = co_await socket.read();
        if (!message || message->kind == Kind::kClose) co_return;
        auto sent = co_await socket.write(message->kind, std::move(message->bytes));
        if (!sent) co_return;
    }
}

Task<Response> answer(Loop& loop, Request& request) {
    if (const auto refused = check_websocket_request(request))
        co_return Response::text(refused->status, refused->message);
    co_return websocket_response(
        request, [&loop](Stream& stream, Bytes rest) { return echo(loop, stream, std::move(rest)); });
}

struct World {
    Loop loop{"test"};
    WorkerPool workers{"tls", 1, 16};
    TlsEngine engine{loop, workers};
    Server server{loop, &engine, [this](Request& request, ConnectionInfo&) { return answer(loop, request); }};
};

ClientRequest upgrade_request() {
    ClientRequest request;
    request.headers.set("Upgrade", "websocket");
    request.headers.set("Connection", "Upgrade");
    request.headers.set("Sec-WebSocket-Version", "13");
    request.headers.set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    return request;
}

Task<Result<std::string>> talk(World& world) {
    auto ends = make_pair(world.loop);
    Scope scope(world.loop);
    scope.spawn(world.server.serve(std::move(ends->first)));
    ClientConnection client(world.loop, std::move(ends->second), "x");
    CO_TRY_ASSIGN(const ClientResponse opened, co_await client.send(upgrade_request()));
    std::string all = std::to_string(opened.status) + " " +
                      std::string(opened.headers.get("Sec-WebSocket-Accept")) + " " +
                      std::string(opened.headers.get("Connection")) + "\n";
    WebSocket socket(world.loop, client.stream(), WebSocketRole::kClient, client.take_rest());
    for (const std::string& text : {std::string("hello"), std::string(100'000, 'x')}) {
        CO_TRY(co_await socket.write(Kind::kText, text));
        CO_TRY_ASSIGN(const WebSocketMessage message, co_await socket.read());
        all += message.bytes == text ? "same\n" : "another\n";
    }
    CO_TRY(co_await socket.write(Kind::kPing, "are you there"));
    CO_TRY(co_await socket.close(kCloseNormal, "bye"));
    CO_TRY_ASSIGN(const WebSocketMessage last, co_await socket.read());
    all += "close " + std::to_string(last.close_code);
    co_await client.close();
    co_await scope.join();
    co_return all;
}

TEST_CASE("a connection that is upgraded is its handler's, and ends with its Close") {
    World world;
    CHECK(block_on(world.loop, talk(world)) ==
          "101 s3pPLMBiTxaQ9kYGzzhZRbK+xOo= Upgrade\nsame\nsame\nclose 1000");
}

Task<Result<std::string>> misbehave(World& world) {
    auto ends = make_pair(world.loop);
    Scope scope(world.loop);
    scope.spawn(world.server.serve(std::move(ends->first)));
    Stream& stream = *ends->second;
    // What is sent behind the request at once is not lost.
    CO_TRY(
        co_await stream.write("GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: "
                              "Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" +
                              websocket_frame(Kind::kText, "early", kMask) + "\x81\x01x"));
    std::string all, buffer(4096, '\0');
    for (;;) {
        auto count = co_await stream.read(buffer.data(), buffer.size());
        if (!count || *count == 0) break;
        all.append(buffer, 0, *count);
    }
    co_await stream.close();
    co_await scope.join();
    co_return all.substr(all.find("\r\n\r\n") + 4);
}

TEST_CASE("a client that breaks a rule is told so and cut") {
    World world;
    CHECK(block_on(world.loop, misbehave(world)) ==
          "\x81\x05"s + "early" +
              websocket_frame(
                  Kind::kClose,
                  websocket_close_payload(kCloseProtocol, "WebSocket: a client's frame must be masked")));
}

Task<Result<std::string>> outlive(World& world) {
    auto ends = make_pair(world.loop);
    Scope scope(world.loop);
    scope.spawn(world.server.serve(std::move(ends->first)));
    ClientConnection client(world.loop, std::move(ends->second), "x");
    CO_TRY(co_await client.send(upgrade_request()));
    WebSocket socket(world.loop, client.stream(), WebSocketRole::kClient, client.take_rest());
    const core::Instant began = world.loop.now();
    co_await world.server.close(std::chrono::seconds(20));
    const bool soon = world.loop.now() - began < std::chrono::seconds(10);
    auto ended = co_await socket.read();
    co_await client.close();
    co_await scope.join();
    co_return std::string(soon ? "soon" : "late") + (ended ? ", something came" : ", cut");
}

TEST_CASE("a server that closes does not wait for the end of upgraded connections") {
    World world;
    CHECK(block_on(world.loop, outlive(world)) == "soon, cut");
}

}  // namespace
}  // namespace smackd::net::http
