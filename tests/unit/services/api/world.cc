#include "tests/unit/services/api/world.h"

#include <filesystem>
#include <functional>
#include <utility>

#include "auth/http_rules.h"
#include "services/setup/setup.h"
#include "storage/state/limits.h"

namespace smackd::test {

using core::Errc;
using core::Result;
using net::Task;

namespace {

std::string make_directory() {
    std::string name = "/tmp/smackd-api-XXXXXX";
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    return name;
}

void add_people(wire::Command& command) {
    for (const char* name : {"alice", "bob"}) command.add_changes()->mutable_put_user()->set_name(name);
    wire::PutRule* rule = command.add_changes()->mutable_put_rule();
    rule->set_id("shop");
    rule->set_subject("user:bob");
    rule->add_actions("view");
    rule->set_tenant("shop");
    rule->set_path("/");
}

}  // namespace

Task<Result<wire::CommandResult>> FakeStateDoor::propose(wire::Command command) {
    if (failure) co_return std::unexpected(*failure);
    proposed.push_back(command);
    if (meanwhile) std::exchange(meanwhile, nullptr)();
    co_return apply(std::move(command));
}

Task<Result<void>> FakeStateDoor::barrier() {
    if (failure) co_return std::unexpected(*failure);
    co_return Result<void>();
}

wire::CommandResult FakeStateDoor::apply(wire::Command command) {
    command.set_time_ms(clock_.wall().unix_ms);
    const std::string bytes = command.SerializeAsString();
    const core::Index index = machine_.applied().next();
    auto results = machine_.apply(index, status_.term, {core::BytesView(bytes)});
    wire::CommandResult result;
    if (!results || !machine_.commit()) {
        result.set_code(static_cast<uint32_t>(Errc::kIo));
        return result;
    }
    status_.applied_index = status_.commit_index = status_.last_index = index;
    SMACK_ASSERT(result.ParseFromString(results->front()));
    return result;
}

auth::AcceptOutcome PlayedKerberos::accept(core::BytesView token, core::BytesView) {
    auth::AcceptOutcome outcome;
    outcome.token = "reply to " + std::string(token);
    if (token == "skew") {
        outcome.error = {Errc::kUnauthenticated,
                         "Clock skew too great: our clock is 12:00, the ticket's 12:09", 0};
        outcome.reason = auth::RefusalReason::kClockSkew;
    } else {
        outcome.state = auth::AcceptOutcome::State::kComplete;
        outcome.peer = peers[std::string(token)];
        outcome.peer.principal = std::string(token);
    }
    return outcome;
}

Result<auth::GssPeer> PlayedKerberos::check_password(const std::string& principal,
                                                     std::string_view password) {
    ++password_checks;
    const auto found = passwords.find(principal);
    if (found != passwords.end() && found->second == password) {
        auth::GssPeer peer = peers[principal];
        peer.principal = principal;
        return peer;
    }
    return core::fail(Errc::kUnauthenticated, "user or password is wrong");
}

core::Json Answer::json() const {
    auto parsed = core::Json::parse(body);
    return parsed ? *parsed : core::Json();
}

ApiWorld::ApiWorld(bool embedded_realm) : directory(make_directory()) {
    open_state(embedded_realm);
    open_api();
}

ApiWorld::~ApiWorld() {
    if (client_) net::block_on(loop, client_->close());
    client_.reset();
    net::block_on(loop, server->close(core::milliseconds(100)));
    server.reset();
    api.reset();
    machine.reset();
    std::filesystem::remove_all(directory);
}

void ApiWorld::open_state(bool embedded_realm) {
    auto opened = storage::state::StateMachine::open({.directory = directory + "/state",
                                                      .disk = disk,
                                                      .vfs = *vfs,
                                                      .hub = hub,
                                                      .metrics = metrics,
                                                      .logger = {}});
    REQUIRE(opened);
    machine = std::move(*opened);
    hub.set_history(storage::state::feed_history({directory + "/state", *vfs, machine->generation()}));
    state = std::make_unique<FakeStateDoor>(*machine, clock);
    services::ClusterSetup setup;
    setup.cluster_id = kClusterId;
    setup.cluster_name = "office";
    setup.realm = kRealmName;
    setup.embedded_realm = embedded_realm;
    setup.ca_certificate_pem = "-----BEGIN CERTIFICATE-----\n";
    setup.machine = "n1";
    setup.admin = "admin";
    if (embedded_realm) {
        auto opened_realm = auth::Realm::open(std::string(kRealmName), *auth::MasterKey::random());
        REQUIRE(opened_realm);
        auto principals = services::make_realm(
            *opened_realm, {.machine = "n1", .http_names = {"n1"}, .admin = "admin", .password = {}},
            clock.wall());
        REQUIRE(principals);
        setup.principals = std::move(*principals);
        realm = std::make_unique<services::EmbeddedRealmDoor>(std::move(*opened_realm), clock);
    }
    auto command = services::make_setup_command(setup);
    REQUIRE(command);
    add_people(*command);
    command->add_changes()->mutable_raise_feature_level()->set_level(storage::state::kFeatureLevelMax);
    const wire::CommandResult result = state->apply(std::move(*command));
    INFO(result.message());
    REQUIRE(result.code() == 0);
}

void ApiWorld::open_api() {
    services::ApiOptions options;
    options.node = {core::NodeId{1}, "n1", "1.0-test"};
    options.cluster_id = kClusterId;
    options.hosts.names = {"localhost"};
    options.sign_in.identities.home_realm = kRealmName;
    options.token_keys.push_back(*auth::TokenKey::generate());
    options.event_heartbeat = core::milliseconds(20);
    services::ApiEnvironment environment{
        .loop = loop,
        .workers = workers,
        .password_workers = workers,
        .clock = clock,
        .registry = metrics,
        .logger = {},
        .state = *state,
        .feed = hub,
        .reader = {directory + "/state", *vfs, machine->generation()},
        .kerberos = kerberos,
        .realm = realm.get(),
    };
    api = std::make_unique<services::Api>(std::move(environment), std::move(options));
    server = std::make_unique<net::http::Server>(
        loop, nullptr, [this](net::http::Request& request, net::http::ConnectionInfo& connection) {
            return api->handle(request, connection);
        });
    auto listener = net::Listener::tcp(loop, *net::Address::parse("127.0.0.1:0"));
    REQUIRE(listener);
    port_ = (*listener)->port();
    host = std::format("localhost:{}", port_);
    server->listen(std::move(*listener), {.name = "api", .tls = {}, .plain = true});
}

std::unique_ptr<net::http::ClientConnection> ApiWorld::dial() {
    net::http::Endpoint endpoint;
    endpoint.host = {"127.0.0.1", port_};
    auto connected =
        net::block_on(loop, net::http::connect(loop, nullptr, std::move(endpoint), std::chrono::seconds(5)));
    REQUIRE(connected);
    return std::move(*connected);
}

Answer ApiWorld::send(std::string method, std::string target, HeaderList headers, std::string body) {
    if (!client_ || !client_->reusable()) {
        if (client_) net::block_on(loop, client_->close());
        client_ = dial();
    }
    net::http::ClientRequest request;
    request.method = std::move(method);
    request.target = std::move(target);
    request.headers.set("Host", host);
    for (const auto& [name, value] : headers) request.headers.set(name, value);
    request.body = std::move(body);
    auto response = net::block_on(loop, client_->fetch(std::move(request)));
    if (!response) return {0, {}, response.error().to_string()};
    return {response->status, std::move(response->headers), std::move(response->body)};
}

Answer ApiWorld::as(const std::string& user, std::string method, std::string target, std::string body,
                    HeaderList headers) {
    headers.emplace_back("Authorization", "Bearer " + token(user));
    if (!body.empty()) headers.emplace_back("Content-Type", "application/json");
    return send(std::move(method), std::move(target), std::move(headers), std::move(body));
}

const std::string& ApiWorld::token(const std::string& user) {
    std::string& held = tokens_[user];
    if (held.empty()) {
        const Answer answer =
            send("POST", "/smack/v1/login",
                 {{"Authorization", negotiate(user + "@EXAMPLE.COM")}, {"Content-Type", "application/json"}},
                 "{}");
        INFO(answer.body);
        REQUIRE(answer.status == 200);
        held = answer.json()["token"].as_string();
    }
    return held;
}

Task<Result<std::string>> ApiWorld::read_stream(net::http::ClientConnection& connection,
                                                net::http::ClientRequest request,
                                                std::function<bool(const std::string&)>& enough,
                                                std::function<void()>& meanwhile) {
    CO_TRY_ASSIGN(const net::http::ClientResponse head, co_await connection.send(std::move(request)));
    std::string text;
    if (head.status != 200) text = std::format("status {}: ", head.status);
    std::string buffer(4096, '\0');
    while (!enough(text)) {
        CO_TRY_ASSIGN(const size_t got, co_await connection.body().read(buffer.data(), buffer.size()));
        if (got == 0) break;
        text.append(buffer, 0, got);
        if (meanwhile) std::exchange(meanwhile, {})();
    }
    co_return text;
}

std::string ApiWorld::stream(const std::string& user, std::string target, HeaderList headers,
                             std::function<bool(const std::string&)> enough,
                             std::function<void()> meanwhile) {
    net::http::ClientRequest request;
    request.target = std::move(target);
    request.headers.set("Host", host);
    request.headers.set("Authorization", "Bearer " + token(user));
    for (const auto& [name, value] : headers) request.headers.set(name, value);
    auto connection = dial();
    auto text = net::block_on(
        loop, net::with_deadline(loop, std::chrono::seconds(10), "the stream",
                                 read_stream(*connection, std::move(request), enough, meanwhile)));
    net::block_on(loop, connection->close());
    return text ? *text : text.error().to_string();
}

std::string negotiate(const std::string& principal) {
    return auth::format_negotiate(principal);
}

}  // namespace smackd::test
