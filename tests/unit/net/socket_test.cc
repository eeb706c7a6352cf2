#include "net/socket.h"

#include <unistd.h>

#include <catch2/catch_test_macros.hpp>

#include "net/scope.h"

namespace smackd::net {
namespace {

using core::Errc;
using core::Result;
using std::chrono::milliseconds;
using std::chrono::seconds;

const Address kLoopback = Address::parse("127.0.0.1:0").value();

Task<void> echo(std::unique_ptr<Stream> stream) {
    std::string buffer(4096, '\0');
    for (;;) {
        auto count = co_await stream->read(buffer.data(), buffer.size());
        if (!count || *count == 0) break;
        auto written = co_await stream->write(core::BytesView(buffer).substr(0, *count));
        if (!written) break;
    }
    co_await stream->close();
}

Task<void> serve(Scope& scope, Listener& listener) {
    for (;;) {
        auto stream = co_await listener.accept();
        if (!stream) break;
        scope.spawn(echo(std::move(*stream)));
    }
}

Task<Result<std::string>> read_until_end(Stream& stream) {
    std::string all;
    char buffer[1000];
    for (;;) {
        CO_TRY_ASSIGN(size_t count, co_await stream.read(buffer, sizeof buffer));
        if (count == 0) break;
        all.append(buffer, count);
    }
    co_return all;
}

Task<void> send_all(Stream& stream, std::string bytes) {
    CHECK(co_await stream.write(bytes));
    CHECK(co_await stream.shutdown());
}

/// Sends a megabyte while reading it back: more than any socket buffer holds.
Task<void> exchange(Loop& loop, std::unique_ptr<Stream> stream) {
    std::string sent(1 << 20, 'x');
    for (size_t i = 0; i < sent.size(); i += 997) sent[i] = static_cast<char>('a' + i % 26);
    Scope sender(loop);
    sender.spawn(send_all(*stream, sent));
    auto received = co_await read_until_end(*stream);
    co_await sender.join();
    CHECK(received.value() == sent);
    co_await stream->close();
}

Task<void> tcp_story(Loop& loop, Listener& listener) {
    Scope scope(loop);
    scope.spawn(serve(scope, listener));
    Address at = Address::parse(listener.address()).value();
    auto stream = co_await connect_tcp(loop, at, seconds(5));
    REQUIRE(stream);
    CHECK((*stream)->peer() == listener.address());
    co_await exchange(loop, std::move(*stream));
    auto by_name = co_await connect_host(loop, HostPort{"localhost", listener.port()}, seconds(5));
    REQUIRE(by_name);
    co_await exchange(loop, std::move(*by_name));
    co_await listener.close();
    co_await scope.join();
    auto refused = co_await connect_tcp(loop, at, seconds(5));
    CHECK(refused.error().code == Errc::kUnavailable);
}

TEST_CASE("TCP carries a megabyte both ways, by address and by name") {
    Loop loop("test");
    auto listener = Listener::tcp(loop, kLoopback);
    REQUIRE(listener);
    block_on(loop, tcp_story(loop, **listener));
}

TEST_CASE("IPv6 and a busy address") {
    Loop loop("test");
    auto six = Listener::tcp(loop, Address::parse("[::1]:0").value());
    REQUIRE(six);
    CHECK((*six)->address().starts_with("[::1]:"));
    auto again = Listener::tcp(loop, Address::parse((*six)->address()).value());
    CHECK(again.error().code == Errc::kConflict);
}

Task<void> unix_story(Loop& loop, Listener& listener, std::string path) {
    Scope scope(loop);
    scope.spawn(serve(scope, listener));
    auto stream = co_await connect_unix(loop, path);
    REQUIRE(stream);
    REQUIRE((*stream)->credentials());
    CHECK((*stream)->credentials()->uid == getuid());
    CHECK((*stream)->credentials()->pid == getpid());
    co_await exchange(loop, std::move(*stream));
    co_await listener.close();
    co_await scope.join();
}

TEST_CASE("a Unix socket knows who is there, and replaces a dead one only") {
    Loop loop("test");
    std::string path = "/tmp/smackd_test_" + std::to_string(getpid()) + ".sock";
    auto listener = Listener::unix_socket(loop, path, 0660);
    REQUIRE(listener);
    CHECK(Listener::unix_socket(loop, path, 0660).error().code == Errc::kConflict);
    block_on(loop, unix_story(loop, **listener, path));
    CHECK(Listener::unix_socket(loop, path, 0660));
    unlink(path.c_str());
    CHECK(Listener::unix_socket(loop, "/tmp/" + std::string(200, 'x'), 0660).error().code == Errc::kInvalid);
}

Task<Result<size_t>> read_some(Stream& stream, char* buffer, size_t size) {
    co_return co_await stream.read(buffer, size);
}

Task<void> deadline_story(Loop& loop, Stream& near, Stream& far) {
    char buffer[8];
    auto late =
        co_await with_deadline(loop, milliseconds(1), "the read", read_some(near, buffer, sizeof buffer));
    CHECK(late.error().code == Errc::kTimeout);
    CHECK(co_await far.write("after"));
    auto count = co_await near.read(buffer, sizeof buffer);
    CHECK(core::BytesView(buffer, count.value()) == "after");
    // A writer nobody reads from gives up, and the stream is broken then.
    std::string much(8 << 20, 'x');
    auto stuck = co_await with_deadline(loop, milliseconds(1), "the write", near.write(much));
    CHECK(stuck.error().code == Errc::kTimeout);
    CHECK(!co_await near.write("more"));
    co_await near.close();
    co_await far.close();
}

TEST_CASE("a read that timed out leaves the stream usable, a write does not") {
    Loop loop("test");
    auto ends = make_pair(loop);
    REQUIRE(ends);
    block_on(loop, deadline_story(loop, *ends->first, *ends->second));
}

Task<void> read_until_closed(Stream& stream, std::optional<Errc>& end) {
    char buffer[8];
    auto count = co_await stream.read(buffer, sizeof buffer);
    if (!count) end = count.error().code;
}

Task<void> close_story(Loop& loop, Stream& stream, std::optional<Errc>& end) {
    Scope scope(loop);
    scope.spawn(read_until_closed(stream, end));
    co_await stream.close();
    co_await stream.close();
    co_await scope.join();
}

TEST_CASE("close ends a pending read and may be called twice") {
    Loop loop("test");
    auto ends = make_pair(loop);
    std::optional<Errc> end;
    block_on(loop, close_story(loop, *ends->first, end));
    CHECK(end == Errc::kCancelled);
}

Task<void> udp_story(UdpSocket& one, UdpSocket& other) {
    CHECK(one.send(other.address(), "ping"));
    auto ping = co_await other.receive();
    REQUIRE(ping);
    CHECK(ping->bytes == "ping");
    CHECK(ping->from.to_string() == one.address().to_string());
    for (int i = 0; i < 10; ++i) CHECK(other.send(ping->from, std::to_string(i)));
    for (int i = 0; i < 10; ++i) {
        auto datagram = co_await one.receive();
        CHECK(datagram->bytes == std::to_string(i));
    }
    co_await one.close();
    co_await other.close();
    CHECK((co_await one.receive()).error().code == Errc::kCancelled);
}

TEST_CASE("UDP datagrams arrive whole with their sender") {
    Loop loop("test");
    auto one = UdpSocket::bind(loop, kLoopback);
    auto other = UdpSocket::bind(loop, kLoopback);
    block_on(loop, udp_story(**one, **other));
}

TEST_CASE("addresses are read and written") {
    CHECK(Address::parse("127.0.0.1:80")->to_string() == "127.0.0.1:80");
    CHECK(Address::parse("[::1]:80")->to_string() == "[::1]:80");
    CHECK(Address::parse(":80")->to_string() == "[::]:80");
    CHECK(Address::parse("127.0.0.1:80")->is_loopback());
    for (const char* bad : {"", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "::1:80",
                            "[::1:80", "host:80", "127.0.0.1:80x"}) {
        INFO(bad);
        CHECK(Address::parse(bad).error().code == Errc::kInvalid);
    }
    CHECK(parse_host_port("n1.example:5055")->host == "n1.example");
}

Task<Result<std::vector<Address>>> look(Loop& loop, std::string name) {
    co_return co_await resolve(loop, std::move(name), 80, seconds(10));
}

TEST_CASE("an unknown name is kNotFound, a literal needs no look-up") {
    Loop loop("test");
    CHECK(block_on(loop, look(loop, "::1")).value()[0].to_string() == "[::1]:80");
    auto unknown = block_on(loop, look(loop, "no such host"));
    CHECK(unknown.error().code == Errc::kNotFound);
}

}  // namespace
}  // namespace smackd::net
