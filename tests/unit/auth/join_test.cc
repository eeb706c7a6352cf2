// The join protocol over real TLS with tickets of a real KDC child: who is let in, and why everybody else is
// not.
#include <catch2/catch_test_macros.hpp>

#include "auth/cluster_ca.h"
#include "auth/join_client.h"
#include "auth/join_server.h"
#include "net/crypto/key.h"
#include "net/scope.h"
#include "net/socket.h"
#include "net/system_clock.h"
#include "net/tls/tls.h"
#include "test_realm.h"

using namespace smackd;
using auth::JoinProof;
using auth::JoinResult;
using auth::test::TestRealm;
using core::Result;
using net::Task;

namespace {

constexpr const char* kMember = "smack/n1@SMACK.TEST";

struct ShiftedClock final : core::Clock {
    core::Instant now() const override { return net::SystemClock().now(); }
    core::WallTime wall() const override { return {net::SystemClock().wall().unix_ms + shift_ms}; }
    int64_t shift_ms = 0;
};

struct TlsKey {
    std::string key_pem;
    std::string certificate_pem;
};

/// The cluster: a registry of one machine, its CA, and what was refused.
class Cluster final : public auth::JoinAuthority {
 public:
    Cluster() {
        facts.epoch = 2;
        facts.feature_level = 2;
        facts.last_node_id = 3;
    }
    void allow(const std::string& machine) {
        wire::PutMachine row;
        row.set_name(machine);
        row.add_roles("agent");
        row.set_state(wire::MACHINE_ALLOWED);
        facts.machine = row;
    }

    Task<JoinResult<wire::JoinAnswer>> admit(JoinProof proof, wire::JoinRequest request) override {
        ++asked;
        core::cluster::JoinFacts mine = facts;
        if (mine.machine && mine.machine->name() != proof.machine) mine.machine.reset();
        auto ask = auth::read_ask(proof, request);
        if (!ask) co_return std::unexpected(std::move(ask.error()));
        auto decision = core::cluster::decide_join(mine, ask->claim, request);
        if (!decision) co_return std::unexpected(std::move(decision.error()));
        auto issued = ca.issue_node({.node = core::NodeId{decision->node_id()},
                                     .machine = proof.machine,
                                     .public_key_pem = ask->public_key_pem,
                                     .generation = 0},
                                    clock.wall());
        REQUIRE(issued);
        wire::PutNode node;
        node.set_node_id(decision->node_id());
        node.set_machine(proof.machine);
        node.set_public_key_sha256(decision->public_key_sha256());
        facts.node = node;
        wire::JoinAnswer answer;
        answer.set_node_id(decision->node_id());
        answer.set_certificate_pem(issued->pem);
        answer.set_ca_pem(ca.certificate_pem());
        answer.set_cluster_id(ca.cluster_id());
        answer.set_cluster_key("secret of the servers");
        kerberos = proof.kerberos;
        co_return answer;
    }
    Result<std::string> machine_of(const net::crypto::Certificate& certificate) override {
        TRY(auth::node_identity_of(certificate));
        if (removed) return core::fail(core::Errc::kDenied, "node 4 was removed from the cluster");
        return certificate.common_name;
    }
    void refused(auth::Refusal refusal) override { refusals.push_back(std::move(refusal)); }

    TlsKey key_of(core::NodeId node, const std::string& machine, int64_t age_ms = 0) const {
        auto key = net::crypto::KeyPair::generate().value();
        auto issued = ca.issue_node(
            {.node = node, .machine = machine, .public_key_pem = key.public_key().to_pem(), .generation = 0},
            {clock.wall().unix_ms - age_ms});
        return {key.to_pem(), issued.value().pem};
    }

    net::SystemClock clock;
    auth::ClusterCa ca = auth::ClusterCa::create("test", net::SystemClock().wall()).value();
    core::cluster::JoinFacts facts;
    std::vector<auth::Refusal> refusals;
    int asked = 0;
    bool kerberos = false;
    bool removed = false;
};

/// A member n1, the machine n2 of its realm, and a way between them.
struct World {
    TestRealm realm{"SMACK.TEST"};
    std::string member_keytab = realm.add_with_keytab("smack/n1");
    std::string machine_keytab = realm.add_with_keytab("smack/n2");
    net::Loop loop{"test"};
    net::WorkerPool workers{"test", 2, 64};
    net::TlsEngine engine{loop, workers};
    Cluster cluster;
    ShiftedClock machine_clock;
    TlsKey member_key = cluster.key_of(core::NodeId{1}, "n1");
    net::crypto::KeyPair key = net::crypto::KeyPair::generate().value();
    auth::JoinServer server{loop, workers, cluster.clock, {member_keytab, "SMACK.TEST", {}}, cluster};

    World() {
        realm.start_kdc();
        REQUIRE(realm.wait_ready());
    }

    std::shared_ptr<const net::TlsConfig> server_config() const {
        net::TlsServerOptions options;
        options.certificate_pem = member_key.certificate_pem;
        options.key_pem = member_key.key_pem;
        options.client_ca_pem = cluster.ca.certificate_pem();
        options.clients = net::ClientCertificates::kOptional;
        options.alpn = {std::string(auth::kJoinAlpn)};
        return net::TlsConfig::server(options).value();
    }
    std::shared_ptr<const net::TlsConfig> client_config(const TlsKey& own = {}) const {
        net::TlsClientOptions options;
        options.verify = false;
        options.alpn = {std::string(auth::kJoinAlpn)};
        options.versions = net::TlsVersions::kOnly13;
        options.certificate_pem = own.certificate_pem;
        options.key_pem = own.key_pem;
        return net::TlsConfig::client(options).value();
    }
    auth::JoinWish wish(const std::string& pin = {}) {
        wire::JoinRequest request;
        request.set_certificate_request_pem(auth::join_certificate_request(key, "n2").value());
        request.set_feature_level(2);
        request.set_address("n2:5055");
        return {request, pin, machine_clock};
    }
    auth::JoinTicket ticket(const std::string& keytab, const std::string& member = kMember,
                            const std::string& principal = {}) const {
        auto got = auth::JoinTicket::get({keytab, principal, member});
        if (!got) FAIL(got.error().message);
        return std::move(*got);
    }
};

Task<void> serve(World& world, std::unique_ptr<net::Stream> raw, std::string& tls_error) {
    auto stream = co_await world.engine.accept(std::move(raw), world.server_config());
    if (!stream) {
        tls_error = stream.error().message;
        co_return;
    }
    co_await world.server.serve(std::move(*stream));
}

/// Connects, runs `talk` as the machine, and waits for the member to have ended.
template <class Talk>
Task<Result<wire::JoinAnswer>> with_member(World& world, TlsKey own, Talk talk, std::string& tls_error) {
    auto raw = net::make_pair(world.loop);
    REQUIRE(raw);
    net::Scope scope(world.loop);
    scope.spawn(serve(world, std::move(raw->first), tls_error));
    auto stream = co_await world.engine.connect(std::move(raw->second), world.client_config(own), "");
    Result<wire::JoinAnswer> answer = core::fail(core::Errc::kUnavailable, "no connection");
    if (stream) {
        answer = co_await talk(**stream);
        co_await (*stream)->close();
    }
    co_await scope.join();
    co_return answer;
}

template <class Talk>
Result<wire::JoinAnswer> run(World& world, Talk talk, TlsKey own = {}) {
    std::string tls_error;
    return net::block_on(world.loop, with_member(world, std::move(own), std::move(talk), tls_error));
}

Result<wire::JoinAnswer> join(World& world, const auth::JoinTicket& ticket, const std::string& pin = {},
                              TlsKey own = {}) {
    return run(
        world, [&](net::Stream& stream) { return auth::ask_to_join(stream, ticket, world.wish(pin)); }, own);
}

void check_refused(const World& world, const std::string& reason, const std::string& text,
                   const Result<wire::JoinAnswer>& answer) {
    INFO(reason);
    REQUIRE_FALSE(answer);
    CHECK(answer.error().message.contains(text));
    REQUIRE(world.cluster.refusals.size() == 1);
    CHECK(world.cluster.refusals[0].reason == reason);
    CHECK(world.cluster.refusals[0].door == "join");
    CHECK(world.cluster.refusals[0].message.contains(text));
    if (!answer) UNSCOPED_INFO(answer.error().message);
}

Task<Result<wire::JoinAnswer>> send_frame(net::Stream& stream, wire::JoinFrame frame) {
    CO_TRY(co_await auth::read_join_frame(stream, auth::kJoinTokenFrameBytesMax));  // hello
    CO_TRY(co_await auth::write_join_frame(stream, std::move(frame)));
    CO_TRY_ASSIGN(auto reply, co_await auth::read_join_frame(stream, auth::kJoinTokenFrameBytesMax));
    if (!reply.has_refusal()) co_return core::fail(core::Errc::kIo, "not refused");
    co_return core::fail(static_cast<core::Errc>(reply.refusal().code()), "{}", reply.refusal().message());
}

}  // namespace

TEST_CASE("a registered machine joins, and asks again with the same key for the same node") {
    World world;
    world.cluster.allow("n2");
    const auth::JoinTicket ticket = world.ticket(world.machine_keytab);
    CHECK(ticket.principal() == "smack/n2@SMACK.TEST");
    const auto answer = join(world, ticket, world.cluster.ca.cluster_id());
    REQUIRE(answer);
    CHECK(answer->node_id() == core::cluster::kNodeIdsPerEpoch + 1);  // of the second epoch
    CHECK(answer->cluster_key() == "secret of the servers");  // encrypted under the ticket's session key
    CHECK(world.cluster.kerberos);
    const auto again = join(world, ticket);
    REQUIRE(again);
    CHECK(again->node_id() == answer->node_id());
    CHECK(world.cluster.refusals.empty());

    // Another machine with the same keytab has another key: it does not take the node's place.
    world.key = net::crypto::KeyPair::generate().value();
    check_refused(world, "joined_already", "with another key", join(world, ticket));
    world.cluster.refusals.clear();
    // Nor does a cluster with another CA pass for the one of the bundle.
    world.cluster.facts.node.reset();
    const auto other = join(world, ticket, std::string(64, 'a'));
    REQUIRE_FALSE(other);
    CHECK(other.error().message.contains("the bundle"));
}

TEST_CASE("machines and people that may not join") {
    World world;
    SECTION("a machine that is not registered") {
        check_refused(world, "not_registered", "smack/n2@SMACK.TEST is not a registered machine",
                      join(world, world.ticket(world.machine_keytab)));
    }
    SECTION("a suspended machine") {
        world.cluster.allow("n2");
        world.cluster.facts.machine->set_state(wire::MACHINE_SUSPENDED);
        check_refused(world, "suspended", "suspended", join(world, world.ticket(world.machine_keytab)));
    }
    SECTION("a user's ticket") {
        const std::string eve = world.realm.add_with_keytab("eve");
        check_refused(world, "not_a_machine", "eve@SMACK.TEST is no machine",
                      join(world, world.ticket(eve, kMember, "eve@SMACK.TEST")));
        CHECK(world.cluster.asked == 0);
    }
    SECTION("another service's ticket of the same host") {
        const std::string host = world.realm.add_with_keytab("host/n2");
        check_refused(world, "not_a_machine", "only smack/HOST",
                      join(world, world.ticket(host, kMember, "host/n2@SMACK.TEST")));
    }
    SECTION("a state of an older epoch") {
        world.cluster.allow("n2");
        const auth::JoinTicket ticket = world.ticket(world.machine_keytab);
        auto wish = world.wish();
        wish.request.set_epoch(1);
        check_refused(
            world, "older_epoch", "epoch 1, the cluster is at epoch 2",
            run(world, [&](net::Stream& stream) { return auth::ask_to_join(stream, ticket, wish); }));
    }
    SECTION("a clock that is 10 minutes off") {
        // libkrb5 forgives it: it goes by its KDC's clock. The request tells.
        world.cluster.allow("n2");
        world.machine_clock.shift_ms = -10 * 60'000;
        check_refused(world, "clock_skew", "the machine's clock says",
                      join(world, world.ticket(world.machine_keytab)));
    }
}

TEST_CASE("a ticket of another realm") {
    World world;
    TestRealm other("OTHER.TEST");
    other.add_with_keytab("smack/n1");
    const std::string keytab = other.add_with_keytab("smack/n2");
    other.start_kdc();
    REQUIRE(other.wait_ready());
    const auto answer = join(world, world.ticket(keytab, "smack/n1@OTHER.TEST"));
    check_refused(world, "wrong_realm", "wrong realm", answer);
    CHECK_FALSE(answer.error().message.contains("SMACK.TEST"));  // who is not known does not learn ours
}

TEST_CASE("who proves nothing learns the protocol and the time") {
    World world;
    SECTION("says nothing and goes") {
        wire::JoinFrame hello;
        const auto silent = run(world, [&](net::Stream& stream) -> Task<Result<wire::JoinAnswer>> {
            return [](net::Stream& from, wire::JoinFrame& into) -> Task<Result<wire::JoinAnswer>> {
                CO_TRY_ASSIGN(into, co_await auth::read_join_frame(from, auth::kJoinTokenFrameBytesMax));
                co_return core::fail(core::Errc::kCancelled, "gone");
            }(stream, hello);
        });
        CHECK_FALSE(silent);
        REQUIRE(hello.has_hello());
        wire::JoinHello only;
        only.set_protocol(auth::kJoinProtocol);
        only.set_time_ms(hello.hello().time_ms());
        CHECK(hello.hello().SerializeAsString() == only.SerializeAsString());
        REQUIRE(world.cluster.refusals.size() == 1);
        CHECK(world.cluster.refusals[0].reason == "no_proof");
    }
    SECTION("sends a request without a ticket") {
        wire::JoinFrame frame;
        *frame.mutable_unproved() = world.wish().request;
        check_refused(world, "no_proof", "authentication needed",
                      run(world, [&](net::Stream& stream) { return send_frame(stream, frame); }));
    }
    SECTION("sends what is no token") {
        wire::JoinFrame frame;
        frame.set_token("let me in");
        check_refused(world, "bad_token", "authentication needed",
                      run(world, [&](net::Stream& stream) { return send_frame(stream, frame); }));
    }
    CHECK(world.cluster.asked == 0);
}

TEST_CASE("an AP-REQ is worth nothing on another TLS session") {
    World world;
    world.cluster.allow("n2");
    const auth::JoinTicket ticket = world.ticket(world.machine_keytab);
    SECTION("replayed, or relayed by whoever is in the middle of TLS") {
        // What the machine bound to the session it had with the man in the middle.
        core::Bytes token;
        const auto first = run(world, [&](net::Stream& stream) {
            return [](net::Stream& with, const auth::JoinTicket& own,
                      core::Bytes& taken) -> Task<Result<wire::JoinAnswer>> {
                CO_TRY_ASSIGN(core::Bytes binding, with.tls()->exporter_binding());
                CO_TRY_ASSIGN(auth::GssInitiator initiator, own.begin(std::move(binding)));
                CO_TRY_ASSIGN(taken, initiator.step());
                co_return core::fail(core::Errc::kCancelled, "gone");
            }(stream, ticket, token);
        });
        REQUIRE_FALSE(token.empty());
        world.cluster.refusals.clear();
        wire::JoinFrame frame;
        frame.set_token(token);
        check_refused(world, "bad_binding", "channel binding differs",
                      run(world, [&](net::Stream& stream) { return send_frame(stream, frame); }));
    }
    SECTION("bound to nothing") {
        auto initiator = ticket.begin({});
        REQUIRE(initiator);
        wire::JoinFrame frame;
        frame.set_token(initiator->step().value());
        check_refused(world, "not_bound", "not bound to this TLS session",
                      run(world, [&](net::Stream& stream) { return send_frame(stream, frame); }));
    }
    CHECK(world.cluster.asked == 0);
}

TEST_CASE("a member that lacks the seed's key gets no request") {
    World world;
    world.cluster.allow("n2");
    world.realm.add_with_keytab("smack/n9");
    const auto answer = join(world, world.ticket(world.machine_keytab, "smack/n9@SMACK.TEST"));
    check_refused(world, "no_key", "--seed-principal", answer);
    CHECK(world.cluster.asked == 0);
}

TEST_CASE("renewal shows the certificate and a ticket; without a KDC the certificate alone") {
    World world;
    world.cluster.allow("n2");
    const auth::JoinTicket ticket = world.ticket(world.machine_keytab);
    const TlsKey old = world.cluster.key_of(core::NodeId{4}, "n2");
    wire::PutNode node;
    node.set_node_id(4);
    node.set_machine("n2");
    node.set_public_key_sha256(
        core::to_hex(net::crypto::KeyPair::from_pem(old.key_pem).value().public_key().sha256()));
    world.cluster.facts.node = node;

    SECTION("with both: a new key for the same node") {
        const auto answer = join(world, ticket, {}, old);
        REQUIRE(answer);
        CHECK(answer->node_id() == 4);
        CHECK(world.cluster.kerberos);
    }
    SECTION("without a KDC: no secrets come with it") {
        const auto answer =
            run(world, [&](net::Stream& stream) { return auth::ask_unproved(stream, world.wish()); }, old);
        REQUIRE(answer);
        CHECK_FALSE(world.cluster.kerberos);
        CHECK(answer->cluster_key().empty());
    }
    SECTION("another machine's keytab beside it") {
        const std::string n3 = world.realm.add_with_keytab("smack/n3");
        check_refused(world, "certificate", "the certificate is of machine n2",
                      join(world, world.ticket(n3), {}, old));
    }
    SECTION("a removed node's certificate") {
        world.cluster.removed = true;
        check_refused(world, "certificate", "was removed", join(world, ticket, {}, old));
    }
    SECTION("an expired certificate") {
        const TlsKey expired = world.cluster.key_of(core::NodeId{4}, "n2", 25 * 3'600'000);
        std::string tls_error;
        const auto answer = net::block_on(
            world.loop,
            with_member(
                world, expired,
                [&](net::Stream& stream) { return auth::ask_to_join(stream, ticket, world.wish()); },
                tls_error));
        CHECK_FALSE(answer);
        CHECK(tls_error.contains("expired"));
    }
}

TEST_CASE("a flood from one address is held off before any Kerberos work") {
    World world;
    auth::JoinLimits limits;
    limits.attempts_per_host_minute = 1;
    auth::JoinServer strict(world.loop, world.workers, world.cluster.clock,
                            {world.member_keytab, "SMACK.TEST", limits}, world.cluster);
    wire::JoinFrame frame;
    frame.set_token("x");
    auto attempt = [&]() -> Task<Result<wire::JoinAnswer>> {
        return [](World& in, auth::JoinServer& at, wire::JoinFrame sent) -> Task<Result<wire::JoinAnswer>> {
            auto raw = net::make_pair(in.loop);
            REQUIRE(raw);
            net::Scope scope(in.loop);
            std::unique_ptr<net::Stream> accepted;
            scope.spawn([](World& w, auth::JoinServer& s, std::unique_ptr<net::Stream> r) -> Task<void> {
                auto stream = co_await w.engine.accept(std::move(r), w.server_config());
                if (stream) co_await s.serve(std::move(*stream));
            }(in, at, std::move(raw->first)));
            CO_TRY_ASSIGN(auto stream,
                          co_await in.engine.connect(std::move(raw->second), in.client_config(), ""));
            CO_TRY(co_await auth::write_join_frame(*stream, std::move(sent)));
            std::string last;
            for (;;) {
                auto got = co_await auth::read_join_frame(*stream, auth::kJoinTokenFrameBytesMax);
                if (!got) break;
                if (got->has_refusal()) last = got->refusal().reason();
            }
            co_await stream->close();
            co_await scope.join();
            co_return core::fail(core::Errc::kDenied, "{}", last);
        }(world, strict, frame);
    };
    CHECK(net::block_on(world.loop, attempt()).error().message == "bad_token");
    CHECK(net::block_on(world.loop, attempt()).error().message == "too_many");
}
