#include "net/rpc/peer_transport.h"

#include <catch2/catch_test_macros.hpp>
#include <format>

#include "net/tls/door.h"
#include "tests/unit/net/authority.h"

namespace smackd::net::rpc {
namespace {

using core::Errc;
using core::NodeId;
using core::Result;
using std::chrono::milliseconds;

constexpr const char* kCluster = "c1";

struct World {
    Loop loop{"test"};
    WorkerPool workers{"tls", 2, 64};
    TlsEngine engine{loop, workers};
    test::Authority authority;
};

Task<void> serve_rpc(RpcServer& server, std::unique_ptr<Stream> stream) {
    auto ended = co_await server.serve(std::move(stream));
    static_cast<void>(ended);
}

/// A server of the cluster with its listener, as cmd wires it.
class Node {
 public:
    Node(World& world, uint64_t id, uint64_t certificate_id, const std::string& cluster = kCluster)
        : identity_(world.authority.issue({{}, {node_uri(cluster, NodeId{certificate_id})}, {}})),
          server_(world.loop, {kProtocolVersion, "1.0", NodeId{id}}) {
        PeerTransportOptions options;
        options.cluster_id = kCluster;
        options.self = NodeId{id};
        options.software = "1.0";
        options.backoff_min = options.backoff_max = milliseconds(1);
        options.queue_messages = 100;
        TlsClientOptions client = world.authority.client_options(identity_);
        client.alpn = {std::string(kPeerAlpn)};
        client_config_ = TlsConfig::client(client).value();
        TlsServerOptions server = world.authority.server_options(identity_, ClientCertificates::kOptional);
        server.alpn = {std::string(kPeerAlpn), "smack-join/1"};
        server_config_ = TlsConfig::server(server).value();
        transport_ = std::make_unique<PeerTransport>(world.loop, world.engine, options,
                                                     [this] { return client_config_; });
        transport_->set_receiver([this](NodeId from, core::Bytes message) {
            received.push_back(std::to_string(from.value) + ":" + message);
            if (on_message) on_message();
        });
        transport_->attach(server_, [this](NodeId node, const crypto::Certificate&) -> Result<void> {
            if (node != refused) return {};
            return core::fail(Errc::kDenied, "node {} is not wanted", node.value);
        });
        listen(world, "127.0.0.1:0");
    }

    void listen(World& world, const std::string& at) {
        std::map<std::string, TlsProtocol> protocols;
        protocols[std::string(kPeerAlpn)].serve = [this](std::unique_ptr<Stream> stream) {
            return serve_rpc(server_, std::move(stream));
        };
        door_ = std::make_unique<TlsDoor>(
            world.engine, Listener::tcp(world.loop, Address::parse(at).value()).value(),
            TlsDoorOptions{"cluster", 100, 100}, [this] { return server_config_; }, std::move(protocols));
        door_->start();
    }

    Task<void> close() {
        co_await transport_->close();
        co_await door_->close();
    }
    PeerTransport& transport() { return *transport_; }
    TlsDoor& door() { return *door_; }

    std::vector<std::string> received;
    NodeId refused;  // is not let in here
    core::Callback<void()> on_message;

 private:
    test::Identity identity_;
    RpcServer server_;
    std::shared_ptr<const TlsConfig> client_config_;
    std::shared_ptr<const TlsConfig> server_config_;
    std::unique_ptr<PeerTransport> transport_;
    std::unique_ptr<TlsDoor> door_;
};

/// Waits until `done` holds; looks again each millisecond, for at most ten seconds.
template <class Condition>
Task<Result<void>> until(Loop& loop, Condition done) {
    for (int i = 0; i < 10'000 && !done(); ++i) CO_TRY(co_await sleep(loop, milliseconds(1)));
    if (!done()) co_return core::fail(Errc::kTimeout, "the condition never held");
    co_return Result<void>();
}

Task<void> three_nodes(World& world, Node& a, Node& b, Node& c) {
    Node* nodes[] = {&a, &b, &c};
    for (uint64_t from = 1; from <= 3; ++from) {
        for (uint64_t to = 1; to <= 3; ++to) {
            if (from == to) continue;
            nodes[from - 1]->transport().set_address(NodeId{to}, nodes[to - 1]->door().address());
            for (int i = 0; i < 50; ++i) nodes[from - 1]->transport().send(NodeId{to}, std::to_string(i));
        }
    }
    auto arrived = co_await until(world.loop, [&] {
        return a.received.size() == 100 && b.received.size() == 100 && c.received.size() == 100;
    });
    CHECK(arrived);
    std::vector<std::string> from_one;
    for (const std::string& message : c.received) {
        if (message.starts_with("1:")) from_one.push_back(message);
    }
    REQUIRE(from_one.size() == 50);
    CHECK(from_one.front() == "1:0");
    CHECK(from_one.back() == "1:49");
    CHECK(a.transport().connected(NodeId{2}));
    a.transport().send(NodeId{2}, std::string(core::kTransportMessageBytesMax, 'x'));
    CHECK(co_await until(world.loop, [&] { return b.received.size() == 101; }));

    // A restarted peer is found again, also at another address.
    co_await b.door().close();
    b.listen(world, "127.0.0.1:0");
    a.transport().set_address(NodeId{2}, b.door().address());
    size_t before = b.received.size();
    a.transport().send(NodeId{2}, "back");
    CHECK(co_await until(world.loop, [&] { return b.received.size() > before; }));
    CHECK(b.received.back() == "1:back");

    // A removed one is not written to any more.
    a.transport().forget(NodeId{2});
    a.transport().send(NodeId{2}, "never");
    CHECK(!a.transport().connected(NodeId{2}));
    co_await a.close();
    co_await b.close();
    co_await c.close();
    CHECK(b.received.back() == "1:back");
}

TEST_CASE("three nodes send to each other over mutual TLS") {
    World world;
    Node a(world, 1, 1);
    Node b(world, 2, 2);
    Node c(world, 3, 3);
    block_on(world.loop, three_nodes(world, a, b, c));
}

/// Node 1 writes to an impostor and the impostor to node 1; neither may get a message.
Task<void> no_message_passes(World& world, Node& honest, Node& impostor, NodeId claimed) {
    honest.transport().set_address(claimed, impostor.door().address());
    impostor.transport().set_address(NodeId{1}, honest.door().address());
    honest.transport().send(claimed, "to the impostor");
    impostor.transport().send(NodeId{1}, "from the impostor");
    CHECK(co_await sleep(world.loop, milliseconds(150)));  // dozens of attempts at a back-off of 1 ms
    CHECK(honest.received.empty());
    CHECK(impostor.received.empty());
    CHECK(!honest.transport().connected(claimed));
    co_await honest.close();
    co_await impostor.close();
}

TEST_CASE("a node with another node's certificate, or of another cluster, gets nothing") {
    World world;
    Node honest(world, 1, 1);
    SECTION("another node") {
        Node impostor(world, 2, 3);
        block_on(world.loop, no_message_passes(world, honest, impostor, NodeId{2}));
    }
    SECTION("another cluster") {
        Node impostor(world, 2, 2, "c2");
        block_on(world.loop, no_message_passes(world, honest, impostor, NodeId{2}));
    }
    SECTION("another authority") {
        World other;
        other.loop.post([] {});
        Node impostor(world, 2, 2);
        test::Identity foreign = other.authority.issue({{}, {node_uri(kCluster, NodeId{2})}, {}});
        TlsClientOptions client = other.authority.client_options(foreign);
        client.ca_pem = world.authority.pem();
        client.alpn = {std::string(kPeerAlpn)};
        auto config = TlsConfig::client(client).value();
        PeerTransportOptions options;
        options.cluster_id = kCluster;
        options.self = NodeId{2};
        options.backoff_min = options.backoff_max = milliseconds(1);
        PeerTransport transport(world.loop, world.engine, options, [&] { return config; });
        auto story = [](World& w, Node& node, Node& unused, PeerTransport& foreigner) -> Task<void> {
            foreigner.set_address(NodeId{1}, node.door().address());
            foreigner.send(NodeId{1}, "hello");
            CHECK(co_await sleep(w.loop, milliseconds(100)));
            CHECK(node.received.empty());
            co_await foreigner.close();
            co_await node.close();
            co_await unused.close();
        };
        block_on(world.loop, story(world, honest, impostor, transport));
    }
}

Task<void> told_why(World& world, Node& a, Node& b) {
    std::string why;
    a.transport().set_refused([&](NodeId peer, const core::Error& error) {
        why = std::format("{}: {}", peer.value, error.message);
    });
    b.refused = NodeId{1};
    a.transport().set_address(NodeId{2}, b.door().address());
    a.transport().send(NodeId{2}, "hello");
    CHECK(co_await until(world.loop, [&] { return !why.empty(); }));
    CHECK(why == "2: node 1 is not wanted");
    CHECK(b.received.empty());
    co_await a.close();
    co_await b.close();
}

TEST_CASE("a node that is not let in is told why") {
    World world;
    Node a(world, 1, 1);
    Node b(world, 2, 2);
    block_on(world.loop, told_why(world, a, b));
}

Task<void> not_believed(World& world, Node& a, Node& liar) {
    int told = 0;
    a.transport().set_refused([&](NodeId, const core::Error&) { ++told; });
    liar.refused = NodeId{1};
    a.transport().set_address(NodeId{2}, liar.door().address());
    a.transport().send(NodeId{2}, "hello");
    CHECK(co_await sleep(world.loop, milliseconds(100)));
    CHECK(told == 0);
    co_await a.close();
    co_await liar.close();
}

TEST_CASE("what somebody at a server's address says who is not that server is not heard") {
    World world;
    Node a(world, 1, 1);
    SECTION("another node of the cluster") {
        Node liar(world, 2, 3);
        block_on(world.loop, not_believed(world, a, liar));
    }
    SECTION("a stranger") {
        Node liar(world, 2, 2, "c2");
        block_on(world.loop, not_believed(world, a, liar));
    }
}

Task<void> overflow(World& world, Node& a, Node& b) {
    for (int i = 0; i < 150; ++i)
        a.transport().send(NodeId{2}, std::to_string(i));  // dropped: no address yet
    a.transport().set_address(NodeId{2}, b.door().address());
    for (int i = 0; i < 150; ++i) a.transport().send(NodeId{2}, std::to_string(i));
    CHECK(co_await until(world.loop, [&] { return !b.received.empty() && b.received.back() == "1:149"; }));
    CHECK(b.received.size() == 100);
    CHECK(b.received.front() == "1:50");
    co_await a.close();
    co_await b.close();
}

TEST_CASE("a connection that is broken off at its server is lost to who made it, and made again") {
    World world;
    Node a(world, 1, 1);
    Node b(world, 2, 2);
    block_on(world.loop, [](World& at, Node& from, Node& to) -> Task<void> {
        std::vector<uint64_t> lost;
        from.transport().set_lost([&](NodeId peer) { lost.push_back(peer.value); });
        from.transport().set_address(NodeId{2}, to.door().address());
        from.transport().send(NodeId{2}, "one");
        CHECK(co_await until(at.loop, [&] { return to.received.size() == 1; }));
        to.transport().break_off(NodeId{1});
        CHECK(co_await until(at.loop, [&] { return lost.size() == 1; }));
        CHECK(lost == std::vector<uint64_t>{2});
        from.transport().send(NodeId{2}, "two");
        CHECK(co_await until(at.loop, [&] { return to.received.size() == 2; }));
        from.transport().set_lost([](NodeId) {});
        co_await from.close();
        co_await to.close();
    }(world, a, b));
}

TEST_CASE("a full queue drops its oldest messages") {
    World world;
    Node a(world, 1, 1);
    Node b(world, 2, 2);
    block_on(world.loop, overflow(world, a, b));
}

TEST_CASE("a certificate names exactly one node of the cluster") {
    test::Authority authority;
    auto node_in = [&](std::vector<std::string> uris) {
        auto certificate =
            crypto::parse_certificate(authority.issue({{}, std::move(uris), {}}).certificate_pem);
        return node_of_certificate(*certificate, "c1");
    };
    CHECK(node_in({"smack://c1/node/7"})->value == 7);
    CHECK(node_in({"https://x", "smack://c2/node/3", "smack://c1/node/7"})->value == 7);
    CHECK(!node_in({}));
    CHECK(!node_in({"smack://c2/node/7"}));
    CHECK(!node_in({"smack://c1/node/7", "smack://c1/node/8"}));
    for (const char* bad :
         {"smack://c1/node/", "smack://c1/node/0", "smack://c1/node/07", "smack://c1/node/7/x",
          "smack://c1/node/-7", "smack://c1/node/99999999999999999999"}) {
        INFO(bad);
        CHECK(node_in({bad}).error().code == Errc::kDenied);
    }
}

}  // namespace
}  // namespace smackd::net::rpc
