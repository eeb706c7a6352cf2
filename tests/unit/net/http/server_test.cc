#include "net/http/server.h"

#include <catch2/catch_test_macros.hpp>

#include "net/http/client.h"
#include "net/http/sse.h"
#include "net/scope.h"
#include "tests/unit/net/authority.h"

namespace smackd::net::http {
namespace {

using core::Errc;
using core::Result;
using std::chrono::milliseconds;
using std::chrono::seconds;

Task<Result<void>> count_up(BodyWriter& writer) {
    for (int i = 0; i < 3; ++i) {
        std::string piece = std::to_string(i);
        CO_TRY(co_await writer.write(piece));
    }
    co_return Result<void>();
}

Task<Result<void>> break_off(BodyWriter& writer) {
    CO_TRY(co_await writer.write("half"));
    co_return core::fail(Errc::kIo, "no more");
}

/// What the handler saw of the last stream that waits for its client to go.
struct Witness {
    std::optional<Errc> streaming_ended;
    Event* release = nullptr;
    bool waiting = false;  // for release
};

Task<Result<void>> stream_for_ever(Loop& loop, Witness& witness, BodyWriter& writer) {
    CO_TRY(co_await writer.write("begin"));
    auto slept = co_await sleep(loop, std::chrono::hours(1));
    witness.streaming_ended = slept ? Errc::kInvalid : slept.error().code;
    co_return slept;
}

Task<Result<void>> send_events(EventStream& events) {
    CO_TRY(co_await events.retry(milliseconds(1500)));
    CO_TRY(co_await events.send({"1.2", "node", "a\nb"}));
    co_return co_await events.heartbeat();
}

Task<Response> handle(Loop& loop, Witness& witness, Request& request, ConnectionInfo& info) {
    const std::string& path = request.path();
    if (path == "/echo") {
        auto body = co_await request.body->read_all(1 << 20);
        if (!body) co_return Response::error(body.error());
        co_return Response::text(200, *body);
    }
    if (path == "/who") co_return Response::text(200, info.tls != nullptr ? info.tls->version() : "plain");
    if (path == "/inject") co_return Response::text(200, "x").with("X", std::string(*request.query("v")));
    if (path == "/empty") {
        Response none;
        none.status = 204;
        co_return none;
    }
    Response response;
    if (path == "/stream") response.stream = count_up;
    if (path == "/broken") response.stream = break_off;
    if (path == "/forever") {
        response.stream = [&](BodyWriter& writer) { return stream_for_ever(loop, witness, writer); };
    }
    if (path == "/events") co_return sse_response(send_events);
    if (path == "/wait") {
        witness.waiting = true;
        auto released = co_await witness.release->wait();
        co_return Response::text(200, released ? "released" : "cancelled");
    }
    if (!response.stream) co_return Response::text(200, path);
    co_return response;
}

struct World {
    explicit World(ServerLimits limits = {}) : server(loop, &engine, answer(), limits) {}
    Handler answer() {
        return
            [this](Request& request, ConnectionInfo& info) { return handle(loop, witness, request, info); };
    }
    Loop loop{"test"};
    WorkerPool workers{"tls", 2, 64};
    TlsEngine engine{loop, workers};
    Witness witness;
    Server server;
};

Task<Result<std::string>> converse(World& world, std::string bytes, bool half_close) {
    auto ends = make_pair(world.loop);
    Scope scope(world.loop);
    scope.spawn(world.server.serve(std::move(ends->first)));
    Stream& client = *ends->second;
    CO_TRY(co_await client.write(bytes));
    if (half_close) CO_TRY(co_await client.shutdown());
    std::string all;
    std::string buffer(4096, '\0');
    for (;;) {
        auto count = co_await client.read(buffer.data(), buffer.size());
        if (!count || *count == 0) break;
        all.append(buffer, 0, *count);
    }
    co_await client.close();
    co_await scope.join();
    std::string date = "Date: ";
    for (size_t at = all.find(date); at != std::string::npos; at = all.find(date, at)) {
        all.erase(at, all.find("\r\n", at) + 2 - at);
    }
    co_return all;
}

/// Everything the server answers to these bytes until it or (with half_close) both are through.
std::string talk(World& world, const std::string& bytes, bool half_close = true) {
    return block_on(world.loop, converse(world, bytes, half_close)).value();
}

const std::string kText = "Content-Type: text/plain; charset=utf-8\r\n";

TEST_CASE("requests on one connection are answered in order") {
    World world;
    CHECK(talk(world,
               "GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
               "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
               "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
               "chunked\r\n\r\n2\r\nde\r\n1\r\nf\r\n0\r\n\r\n"
               "HEAD /b HTTP/1.1\r\nHost: x\r\n\r\n"
               "GET /empty HTTP/1.1\r\nHost: x\r\n\r\n"
               "GET /c HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
               "GET /never HTTP/1.1\r\nHost: x\r\n\r\n") ==
          "HTTP/1.1 200 OK\r\n" + kText + "Content-Length: 2\r\n\r\n/a" + "HTTP/1.1 200 OK\r\n" + kText +
              "Content-Length: 3\r\n\r\nabc" + "HTTP/1.1 200 OK\r\n" + kText +
              "Content-Length: 3\r\n\r\ndef" + "HTTP/1.1 200 OK\r\n" + kText + "Content-Length: 2\r\n\r\n" +
              "HTTP/1.1 204 No Content\r\n\r\n" + "HTTP/1.1 200 OK\r\n" + kText +
              "Content-Length: 2\r\nConnection: close\r\n\r\n/c");
}

TEST_CASE("HTTP/1.0 closes unless asked otherwise, and gets no chunks") {
    World world;
    CHECK(talk(world, "GET /a HTTP/1.0\r\n\r\nGET /b HTTP/1.0\r\n\r\n", false) ==
          "HTTP/1.1 200 OK\r\n" + kText + "Content-Length: 2\r\nConnection: close\r\n\r\n/a");
    CHECK(talk(world, "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /stream HTTP/1.0\r\n\r\n",
               false) == "HTTP/1.1 200 OK\r\n" + kText +
                             "Content-Length: 2\r\nConnection: keep-alive\r\n\r\n/a" +
                             "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n012");
}

TEST_CASE("streams are chunked, end properly, and a broken one visibly does not") {
    World world;
    CHECK(talk(world, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n") ==
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n0\r\n1\r\n1\r\n1\r\n2\r\n0\r\n\r\n"
          "HTTP/1.1 200 OK\r\n" +
              kText + "Content-Length: 2\r\n\r\n/a");
    CHECK(talk(world, "GET /broken HTTP/1.1\r\nHost: x\r\n\r\n", false) ==
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
    CHECK(talk(world, "HEAD /stream HTTP/1.1\r\nHost: x\r\n\r\n") ==
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    CHECK(talk(world, "GET /events HTTP/1.0\r\n\r\n", false)
              .ends_with("Content-Type: text/event-stream\r\nCache-Control: no-store\r\nX-Accel-Buffering: "
                         "no\r\nConnection: close\r\n"
                         "\r\nretry: 1500\n\nid: 1.2\nevent: node\ndata: a\ndata: b\n\n:\n\n"));
}

TEST_CASE("100 Continue is sent when the body is wanted, and only then") {
    World world;
    const std::string head = " HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
    CHECK(talk(world, "POST /echo" + head).starts_with("HTTP/1.1 100 Continue\r\n\r\n"));
    // Not read: the answer comes without it and the connection ends, since the body may or may not follow.
    CHECK(talk(world, "POST /a" + head, false) ==
          "HTTP/1.1 200 OK\r\n" + kText + "Content-Length: 2\r\nConnection: close\r\n\r\n/a");
}

TEST_CASE("a body nobody read is skipped when short") {
    World world;
    std::string answers = talk(world, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n" +
                                          std::string(20000, 'x') + "GET /b HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(answers.ends_with("/b"));
    answers = talk(world, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n", false);
    CHECK(answers.find("Connection: close") != std::string::npos);
}

TEST_CASE("malformed requests get a 400 and the end") {
    World world;
    std::string answer =
        talk(world, "GET /a HTTP/1.1\r\nHost: x\r\nX : y\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n", false);
    CHECK(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"));
    CHECK(answer.find("Connection: close") != std::string::npos);
    CHECK(answer.find("/b") == std::string::npos);
    CHECK(talk(world, "GET /../etc HTTP/1.1\r\nHost: x\r\n\r\n", false).starts_with("HTTP/1.1 400"));
    CHECK(talk(world, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", false)
              .starts_with("HTTP/1.1 400"));
}

TEST_CASE("limits answer with their status") {
    ServerLimits limits;
    limits.body_bytes = 10;
    limits.head_bytes = 200;
    World world(limits);
    CHECK(talk(world, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n", false)
              .starts_with("HTTP/1.1 413"));
    CHECK(talk(world,
               "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
               "chunked\r\n\r\nb\r\n12345678901\r\n0\r\n\r\n",
               false)
              .starts_with("HTTP/1.1 413"));
    CHECK(talk(world, "GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(300, 'x') + "\r\n\r\n", false)
              .starts_with("HTTP/1.1 431"));
}

TEST_CASE("a handler cannot put a second field into one") {
    World world;
    std::string answer = talk(world, "GET /inject?v=a%0d%0aSet-Cookie:%20x HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(answer.starts_with("HTTP/1.1 500"));
    CHECK(answer.find("Set-Cookie") == std::string::npos);
    CHECK(talk(world, "GET /inject?v=fine HTTP/1.1\r\nHost: x\r\n\r\n").find("X: fine\r\n") !=
          std::string::npos);
}

TEST_CASE("slow clients are cut off") {
    ServerLimits limits;
    limits.idle = limits.head = limits.body = milliseconds(20);
    World world(limits);
    CHECK(talk(world, "", false).empty());
    CHECK(talk(world, "GET / HTTP/1.1\r\nHo", false).starts_with("HTTP/1.1 408"));
    std::string answer = talk(world, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab", false);
    CHECK(answer.find("200") == std::string::npos);
}

Task<void> leave_early(World& world) {
    auto ends = make_pair(world.loop);
    Scope scope(world.loop);
    scope.spawn(world.server.serve(std::move(ends->first)));
    Stream& client = *ends->second;
    CHECK(co_await client.write("GET /forever HTTP/1.1\r\nHost: x\r\n\r\n"));
    char byte = 0;
    CHECK(co_await read_exactly(client, &byte, 1));
    co_await client.close();
    co_await scope.join();
}

TEST_CASE("a stream ends when its client goes away") {
    World world;
    block_on(world.loop, leave_early(world));
    CHECK(world.witness.streaming_ended == Errc::kCancelled);
}

Task<Result<ClientResponse>> fetch(World& world, Endpoint endpoint, ClientRequest request) {
    CO_TRY_ASSIGN(auto connection,
                  co_await connect(world.loop, &world.engine, std::move(endpoint), seconds(5)));
    auto response = co_await connection->fetch(std::move(request));
    co_await connection->close();
    co_return response;
}

ClientRequest get(std::string target) {
    ClientRequest request;
    request.target = std::move(target);
    return request;
}

Task<void> both_on_one_port(World& world, test::Authority& authority,
                            std::shared_ptr<const TlsConfig> config) {
    auto listener = Listener::tcp(world.loop, Address::parse("127.0.0.1:0").value());
    Endpoint endpoint;
    endpoint.host = {"127.0.0.1", (*listener)->port()};
    Door door;
    door.name = "api";
    door.tls = [config] { return config; };
    world.server.listen(std::move(*listener), std::move(door));

    auto plain = co_await fetch(world, endpoint, get("/who"));
    CHECK(plain.value().body == "plain");
    TlsClientOptions options;
    options.ca_pem = authority.pem();
    endpoint.tls = TlsConfig::client(options).value();
    endpoint.server_name = "localhost";
    auto secret = co_await fetch(world, endpoint, get("/who"));
    CHECK(secret.value().body == "TLSv1.3");
    ClientRequest post = get("/echo");
    post.method = "POST";
    post.body = std::string(900'000, 'z');
    auto echoed = co_await fetch(world, endpoint, post);
    CHECK(echoed.value().body == post.body);
    auto streamed = co_await fetch(world, endpoint, get("/stream"));
    CHECK(streamed.value().body == "012");
    auto broken = co_await fetch(world, endpoint, get("/broken"));
    CHECK(!broken);
    co_await world.server.close();
    CHECK(world.server.connections() == 0);
    auto refused = co_await fetch(world, endpoint, get("/who"));
    CHECK(refused.error().code == Errc::kUnavailable);
}

TEST_CASE("one port speaks plain HTTP and TLS") {
    World world;
    test::Authority authority;
    test::Identity identity = authority.issue({{"localhost"}, {}, {}});
    auto config = TlsConfig::server(authority.server_options(identity, ClientCertificates::kNone)).value();
    block_on(world.loop, both_on_one_port(world, authority, config));
}

Task<void> crowd(World& world) {
    auto listener = Listener::tcp(world.loop, Address::parse("127.0.0.1:0").value());
    Endpoint endpoint;
    endpoint.host = {"127.0.0.1", (*listener)->port()};
    world.server.listen(std::move(*listener), Door{.name = "api", .tls = {}, .plain = true});
    auto first = co_await connect(world.loop, nullptr, endpoint, seconds(5));
    auto served = co_await (*first)->fetch(get("/a"));
    CHECK(served);
    auto second = co_await connect(world.loop, nullptr, endpoint, seconds(5));
    auto refused = co_await (*second)->fetch(get("/a"));
    CHECK(!refused);
    co_await (*second)->close();
    served = co_await (*first)->fetch(get("/a"));
    CHECK(served);
    co_await (*first)->close();
    co_await world.server.close();
}

TEST_CASE("connections are limited") {
    ServerLimits limits;
    limits.connections = 1;
    World world(limits);
    block_on(world.loop, crowd(world));
}

Task<void> reuse(World& world) {
    auto listener = Listener::tcp(world.loop, Address::parse("127.0.0.1:0").value());
    Endpoint endpoint;
    endpoint.host = {"127.0.0.1", (*listener)->port()};
    world.server.listen(std::move(*listener), Door{.name = "api", .tls = {}, .plain = true});
    auto connection = co_await connect(world.loop, nullptr, endpoint, seconds(5));
    REQUIRE(connection);
    for (int i = 0; i < 50; ++i) {
        auto response = co_await (*connection)->fetch(get("/" + std::to_string(i)));
        REQUIRE(response);
        CHECK(response->body == "/" + std::to_string(i));
        CHECK((*connection)->reusable());
    }
    ClientRequest bad = get("/a b");
    auto refused = co_await (*connection)->fetch(bad);
    CHECK(refused.error().code == Errc::kInvalid);
    co_await (*connection)->close();
    co_await world.server.close();
}

TEST_CASE("a client connection is used again and again") {
    World world;
    block_on(world.loop, reuse(world));
}

Task<void> ask(World& world, Endpoint endpoint, std::string target,
               std::optional<Result<ClientResponse>>& into) {
    into = co_await fetch(world, std::move(endpoint), get(std::move(target)));
}

Task<void> drain(World& world, bool release) {
    Event event(world.loop);
    world.witness.release = &event;
    auto listener = Listener::tcp(world.loop, Address::parse("127.0.0.1:0").value());
    Endpoint endpoint;
    endpoint.host = {"127.0.0.1", (*listener)->port()};
    world.server.listen(std::move(*listener), Door{.name = "api", .tls = {}, .plain = true});
    auto idle = co_await connect(world.loop, nullptr, endpoint, seconds(5));
    auto warm = co_await (*idle)->fetch(get("/a"));
    CHECK(warm);
    Scope scope(world.loop);
    std::optional<Result<ClientResponse>> answer;
    scope.spawn(ask(world, endpoint, "/wait", answer));
    while (!world.witness.waiting) CHECK(co_await sleep(world.loop, milliseconds(1)));
    CHECK(world.server.connections() == 2);
    if (release) world.loop.start(milliseconds(5), [&] { event.set(); });
    co_await world.server.close(release ? core::Duration(seconds(5)) : core::Duration(milliseconds(5)));
    co_await scope.join();
    REQUIRE(answer);
    if (release) {
        CHECK((*answer)->body == "released");
        CHECK((*answer)->headers.get("connection") == "close");
    }
    auto late = co_await (*idle)->fetch(get("/b"));
    CHECK(!late);
    co_await (*idle)->close();
}

TEST_CASE("closing lets a running request end and cuts it after the grace") {
    World world;
    SECTION("in time") {
        block_on(world.loop, drain(world, true));
    }
    SECTION("too late") {
        block_on(world.loop, drain(world, false));
    }
}

Task<void> heartbeats(Loop& loop, std::string& out) {
    struct Collect final : BodyWriter {
        explicit Collect(std::string& to) : out(to) {}
        Task<Result<void>> write(core::BytesView bytes) override {
            out.append(bytes);
            co_return Result<void>();
        }
        std::string& out;
    } collect(out);
    EventStream events(collect);
    Queue<SseEvent> queue(loop, 8);
    queue.try_push({"1", "", "a"});
    loop.start(milliseconds(15), [&] { queue.close(); });
    CHECK(co_await pump_events(loop, events, queue, milliseconds(5)));
}

TEST_CASE("silence is filled with heartbeats") {
    Loop loop("test");
    std::string out;
    block_on(loop, heartbeats(loop, out));
    CHECK(out.starts_with("id: 1\ndata: a\n\n:\n\n"));
}

}  // namespace
}  // namespace smackd::net::http
