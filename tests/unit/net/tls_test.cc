#include "net/tls/tls.h"

#include <catch2/catch_test_macros.hpp>

#include "net/crypto/hash.h"
#include "net/scope.h"
#include "net/socket.h"
#include "tests/unit/net/authority.h"

namespace smackd::net {
namespace {

using core::Errc;
using core::Result;
using std::chrono::milliseconds;
using std::chrono::seconds;
using StreamResult = Result<std::unique_ptr<Stream>>;
using ConfigPointer = std::shared_ptr<const TlsConfig>;

/// Both ends of one TLS connection over a socketpair.
struct Ends {
    StreamResult server = core::fail(Errc::kInvalid, "not tried");
    StreamResult client = core::fail(Errc::kInvalid, "not tried");
};

struct World {
    Loop loop{"test"};
    WorkerPool workers{"tls", 2, 64};
    TlsEngine engine{loop, workers};
    test::Authority authority;
    test::Identity server = authority.issue({{"localhost"}, {"smack://c/node/1"}, {"127.0.0.1"}});
    test::Identity client = authority.issue({{}, {"smack://c/node/2"}, {}});
};

Task<void> accept_into(TlsEngine& engine, std::unique_ptr<Stream> raw, ConfigPointer config,
                       StreamResult& into) {
    into = co_await engine.accept(std::move(raw), std::move(config));
}

/// A TLS 1.3 client is done before the server has judged its certificate: one exchanged byte settles it.
Task<Result<void>> settle(Stream& from, Stream& to) {
    CO_TRY(co_await from.write("x"));
    char byte = 0;
    CO_TRY(co_await read_exactly(to, &byte, 1));
    co_return Result<void>();
}

Task<void> shake(World& world, ConfigPointer server, ConfigPointer client, std::string name, Ends& ends) {
    auto raw = make_pair(world.loop);
    Scope scope(world.loop);
    scope.spawn(accept_into(world.engine, std::move(raw->first), std::move(server), ends.server));
    ends.client = co_await world.engine.connect(std::move(raw->second), std::move(client), std::move(name));
    if (!ends.client || !ends.server) {
        co_await scope.join();
    }
    if (ends.client && ends.server) CHECK(co_await settle(**ends.server, **ends.client));
}

Task<void> close_both(Ends& ends) {
    if (ends.client) co_await (*ends.client)->close();
    if (ends.server) co_await (*ends.server)->close();
}

void connect(World& world, const TlsServerOptions& server, const TlsClientOptions& client, Ends& ends,
             std::string name = "localhost") {
    auto server_config = TlsConfig::server(server);
    auto client_config = TlsConfig::client(client);
    REQUIRE(server_config);
    REQUIRE(client_config);
    block_on(world.loop, shake(world, *server_config, *client_config, std::move(name), ends));
}

TEST_CASE("mutual TLS 1.2 and 1.3: both ends know each other and share an exporter") {
    World world;
    TlsVersions versions = TlsVersions::kOnly13;
    std::string expected = "TLSv1.3";
    SECTION("1.3") {}
    SECTION("1.2") {
        versions = TlsVersions::kOnly12;
        expected = "TLSv1.2";
    }
    TlsServerOptions server = world.authority.server_options(world.server, ClientCertificates::kRequired);
    server.versions = versions;
    server.alpn = {"smack/1", "http/1.1"};
    TlsClientOptions client = world.authority.client_options(world.client);
    client.alpn = {"smack/1"};
    Ends ends;
    connect(world, server, client, ends);
    REQUIRE(ends.server);
    REQUIRE(ends.client);
    const TlsSession* at_server = (*ends.server)->tls();
    const TlsSession* at_client = (*ends.client)->tls();
    CHECK(at_server->version() == expected);
    CHECK(at_client->version() == expected);
    CHECK(at_server->alpn() == "smack/1");
    CHECK(at_client->alpn() == "smack/1");
    CHECK(at_server->server_name() == "localhost");
    CHECK(at_server->peer_certificate()->names.uris[0] == "smack://c/node/2");
    CHECK(at_client->peer_certificate()->names.uris[0] == "smack://c/node/1");
    CHECK(at_server->exporter_binding().value() == at_client->exporter_binding().value());
    CHECK(at_server->exporter_binding()->size() == 13 + 32);
    CHECK(at_server->exporter("other", "", 32).value() != at_server->exporter("OTHER", "", 32).value());
    CHECK(at_server->end_point_binding() == at_client->end_point_binding());
    CHECK(at_server->end_point_binding() ==
          "tls-server-end-point:" +
              crypto::sha256(crypto::parse_certificate(world.server.certificate_pem)->der));
    block_on(world.loop, close_both(ends));
}

struct Refusal {
    Errc server;
    Errc client;
    std::string server_says;
    std::string client_says;
};

/// With TLS 1.2 both ends learn of the refusal within the handshake.
Refusal refused(World& world, TlsServerOptions server, TlsClientOptions client,
                std::string name = "localhost") {
    server.versions = TlsVersions::kOnly12;
    Ends ends;
    connect(world, server, client, ends, std::move(name));
    REQUIRE(!ends.server);
    REQUIRE(!ends.client);
    return {ends.server.error().code, ends.client.error().code, ends.server.error().message,
            ends.client.error().message};
}

TEST_CASE("certificates are refused with the reason at both ends") {
    World world;
    TlsServerOptions server = world.authority.server_options(world.server, ClientCertificates::kRequired);
    TlsClientOptions client = world.authority.client_options(world.client);
    SECTION("no client certificate") {
        client.certificate_pem.clear();
        Refusal refusal = refused(world, server, client);
        CHECK(refusal.server == Errc::kDenied);
        CHECK(refusal.server_says.find("sent no certificate") != std::string::npos);
    }
    SECTION("expired client certificate") {
        Refusal refusal =
            refused(world, server, world.authority.client_options(world.authority.issue({}, -10, -1)));
        CHECK(refusal.server == Errc::kDenied);
        CHECK(refusal.server_says.find("expired on") != std::string::npos);
        CHECK(refusal.client == Errc::kDenied);
        CHECK(refusal.client_says.find("has expired") != std::string::npos);
    }
    SECTION("client certificate of another CA") {
        test::Authority other;
        test::Identity foreign = other.issue({});
        client.certificate_pem = foreign.certificate_pem;
        client.key_pem = foreign.key_pem;
        Refusal refusal = refused(world, server, client);
        CHECK(refusal.server == Errc::kDenied);
        CHECK(refusal.server_says.find("not signed by a CA we trust") != std::string::npos);
        CHECK(refusal.client == Errc::kDenied);
    }
    SECTION("an optional certificate of another CA") {
        test::Authority other;
        test::Identity foreign = other.issue({});
        client.certificate_pem = foreign.certificate_pem;
        client.key_pem = foreign.key_pem;
        server.clients = ClientCertificates::kOptional;
        Ends ends;
        server.versions = TlsVersions::kOnly12;
        connect(world, server, client, ends);
        CHECK(ends.server.error().code == Errc::kDenied);
        block_on(world.loop, close_both(ends));
    }
    SECTION("server of another CA") {
        client.ca_pem = test::Authority().pem();
        Refusal refusal = refused(world, server, client);
        CHECK(refusal.client == Errc::kDenied);
        CHECK(refusal.server == Errc::kDenied);
        CHECK(refusal.server_says.find("refused our certificate") != std::string::npos);
    }
    SECTION("server of another name") {
        Refusal refusal = refused(world, server, client, "elsewhere.example");
        CHECK(refusal.client == Errc::kDenied);
    }
    SECTION("server expired") {
        server = world.authority.server_options(world.authority.issue({{"localhost"}, {}, {}}, -10, -1),
                                                ClientCertificates::kNone);
        CHECK(refused(world, server, client).client == Errc::kDenied);
    }
    SECTION("no protocol in common") {
        server.alpn = {"smack/1"};
        client.alpn = {"h2"};
        Refusal refusal = refused(world, server, client);
        CHECK(refusal.server == Errc::kInvalid);
        CHECK(refusal.client_says.find("ALPN") != std::string::npos);
    }
    SECTION("no version in common") {
        client.versions = TlsVersions::kOnly13;
        CHECK(refused(world, server, client).client == Errc::kInvalid);
    }
}

TEST_CASE("TLS 1.3 refuses clients too; they learn it at their first read") {
    World world;
    TlsServerOptions server = world.authority.server_options(world.server, ClientCertificates::kRequired);
    TlsClientOptions client = world.authority.client_options(world.authority.issue({}, -10, -1));
    Ends ends;
    connect(world, server, client, ends);
    CHECK(ends.server.error().code == Errc::kDenied);
    REQUIRE(ends.client);
    auto read = [](Stream& stream) -> Task<Result<void>> {
        char byte = 0;
        co_return co_await read_exactly(stream, &byte, 1);
    };
    auto told = block_on(world.loop, read(**ends.client));
    INFO(told.error().message);
    CHECK(told.error().code == Errc::kDenied);
    CHECK(told.error().message.find("expired") != std::string::npos);
    block_on(world.loop, close_both(ends));
}

TEST_CASE("without verification the peer's certificate is there, unchecked") {
    World world;
    TlsServerOptions server = world.authority.server_options(world.server, ClientCertificates::kOptional);
    TlsClientOptions client;
    client.verify = false;
    Ends ends;
    connect(world, server, client, ends, "");
    REQUIRE(ends.client);
    REQUIRE(ends.server);
    CHECK((*ends.client)->tls()->peer_certificate()->names.dns[0] == "localhost");
    CHECK(!(*ends.server)->tls()->peer_certificate());
    CHECK((*ends.server)->tls()->alpn().empty());
    block_on(world.loop, close_both(ends));
}

TEST_CASE("a certificate is chosen by the name the client asks for") {
    World world;
    test::Identity other = world.authority.issue({{"other.example"}, {}, {}});
    TlsServerOptions server = world.authority.server_options(world.server, ClientCertificates::kNone);
    server.by_name.push_back({"other.example", other.certificate_pem, other.key_pem});
    Ends ends;
    connect(world, server, world.authority.client_options(world.client), ends, "other.example");
    REQUIRE(ends.client);
    CHECK((*ends.client)->tls()->peer_certificate()->names.dns[0] == "other.example");
    CHECK((*ends.server)->tls()->end_point_binding() == (*ends.client)->tls()->end_point_binding());
    block_on(world.loop, close_both(ends));
}

Task<void> write_and_shut(Stream& stream, core::BytesView bytes) {
    CHECK(co_await stream.write(bytes));
    CHECK(co_await stream.shutdown());
}

Task<void> transfer(Loop& loop, Stream& from, Stream& to) {
    std::string sent(3'000'000, 'x');
    for (size_t i = 0; i < sent.size(); i += 101) sent[i] = static_cast<char>(i);
    Scope scope(loop);
    scope.spawn(write_and_shut(from, sent));
    std::string received(sent.size(), '\0');
    CHECK(co_await read_exactly(to, received.data(), received.size()));
    CHECK(received == sent);
    char byte = 0;
    auto end = co_await to.read(&byte, 1);
    CHECK(end.value() == 0);
    co_await scope.join();
}

TEST_CASE("megabytes pass and the end is an authentic one") {
    World world;
    Ends ends;
    connect(world, world.authority.server_options(world.server, ClientCertificates::kNone),
            world.authority.client_options(world.client), ends);
    block_on(world.loop, transfer(world.loop, **ends.server, **ends.client));
    block_on(world.loop, transfer(world.loop, **ends.client, **ends.server));
    block_on(world.loop, close_both(ends));
}

Task<Result<size_t>> read_after_cut(Stream& server, Stream& client) {
    co_await server.close();
    char byte = 0;
    co_return co_await client.read(&byte, 1);
}

TEST_CASE("a cut connection is not mistaken for its end") {
    World world;
    Ends ends;
    connect(world, world.authority.server_options(world.server, ClientCertificates::kNone),
            world.authority.client_options(world.client), ends);
    auto cut = block_on(world.loop, read_after_cut(**ends.server, **ends.client));
    CHECK(cut.error().code == Errc::kUnavailable);
    block_on(world.loop, close_both(ends));
}

Task<void> one_of_many(World& world, ConfigPointer server, ConfigPointer client, size_t& done) {
    Ends ends;
    co_await shake(world, std::move(server), std::move(client), "localhost", ends);
    if (ends.server && ends.client) ++done;
    co_await close_both(ends);
}

Task<void> many_at_once(World& world, ConfigPointer server, ConfigPointer client, size_t& done) {
    Scope scope(world.loop);
    for (int i = 0; i < 12; ++i) scope.spawn(one_of_many(world, server, client, done));
    co_await scope.join();
}

TEST_CASE("handshakes run on several workers at once and share one configuration") {
    World world;
    auto server =
        TlsConfig::server(world.authority.server_options(world.server, ClientCertificates::kRequired));
    auto client = TlsConfig::client(world.authority.client_options(world.client));
    size_t done = 0;
    block_on(world.loop, many_at_once(world, *server, *client, done));
    CHECK(done == 12);
}

Task<void> silent_client(Loop& loop, WorkerPool& workers, ConfigPointer config) {
    TlsEngine engine(loop, workers, 1, milliseconds(5));
    auto raw = make_pair(loop);
    StreamResult first = core::fail(Errc::kInvalid, "not tried");
    StreamResult second = core::fail(Errc::kInvalid, "not tried");
    Scope scope(loop);
    scope.spawn(accept_into(engine, std::move(raw->first), config, first));
    auto other = make_pair(loop);
    scope.spawn(accept_into(engine, std::move(other->first), config, second));
    co_await scope.join();
    CHECK(first.error().code == Errc::kTimeout);
    CHECK(second.error().code == Errc::kBusy);
    co_await raw->second->close();
    co_await other->second->close();
}

TEST_CASE("a client that says nothing is cut off, and handshakes are limited") {
    World world;
    auto config = TlsConfig::server(world.authority.server_options(world.server, ClientCertificates::kNone));
    block_on(world.loop, silent_client(world.loop, world.workers, *config));
}

Task<void> speak_nonsense(World& world, ConfigPointer config, StreamResult& into) {
    auto raw = make_pair(world.loop);
    Scope scope(world.loop);
    scope.spawn(accept_into(world.engine, std::move(raw->first), std::move(config), into));
    CHECK(co_await raw->second->write("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    co_await scope.join();
    co_await raw->second->close();
}

TEST_CASE("what is not TLS is refused") {
    World world;
    auto config = TlsConfig::server(world.authority.server_options(world.server, ClientCertificates::kNone));
    StreamResult result = core::fail(Errc::kIo, "not tried");
    block_on(world.loop, speak_nonsense(world, *config, result));
    CHECK(result.error().code == Errc::kInvalid);
}

TEST_CASE("configurations are checked when made") {
    World world;
    TlsServerOptions server = world.authority.server_options(world.server, ClientCertificates::kRequired);
    server.key_pem = world.client.key_pem;
    CHECK(TlsConfig::server(server).error().message.find("does not belong") != std::string::npos);
    server.key_pem = "nonsense";
    CHECK(!TlsConfig::server(server));
    server = world.authority.server_options(world.server, ClientCertificates::kRequired);
    server.client_ca_pem.clear();
    CHECK(!TlsConfig::server(server));
    server = world.authority.server_options(world.server, ClientCertificates::kOptional);
    server.tickets = TlsTickets::make().value();
    CHECK(TlsConfig::server(server).error().message.find("no session tickets") != std::string::npos);
    CHECK(!TlsConfig::client({}));
}

}  // namespace
}  // namespace smackd::net
