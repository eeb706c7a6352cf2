// A server's API as it runs in production: HTTP over loopback, workers, the state machine on real files, the
// embedded realm's keys. Two things are played: consensus (FakeStateDoor applies at once) and the KDC
// (PlayedKerberos).
#pragma once

#include <catch2/catch_test_macros.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "auth/realm.h"
#include "core/json.h"
#include "net/http/client.h"
#include "net/http/server.h"
#include "net/posix_disk.h"
#include "net/scope.h"
#include "services/api/api.h"
#include "storage/state/state_machine.h"

namespace smackd::test {

inline constexpr std::string_view kRealmName = "EXAMPLE.COM";
inline constexpr std::string_view kClusterId =
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// Time that a test sets: wall time only, timers are real.
class SetClock final : public core::Clock {
 public:
    core::Instant now() const override { return core::Instant{wall_offset}; }
    core::WallTime wall() const override { return {1'800'000'000'000 + wall_offset.count() / 1'000'000}; }
    core::Duration wall_offset{0};
};

/// Applies commands one after the other to the state machine of the test.
class FakeStateDoor final : public services::StateDoor {
 public:
    FakeStateDoor(storage::state::StateMachine& machine, core::Clock& clock)
        : machine_(machine), clock_(clock) {
        status_.role = storage::ReplicaRole::kLeader;
        status_.term = core::Term{3};
        status_.leader = core::NodeId{1};
        status_.servers = {{core::NodeId{1}, "127.0.0.1:5055", storage::ServerRole::kVoter}};
    }
    net::Task<core::Result<wire::CommandResult>> propose(wire::Command command) override;
    net::Task<core::Result<void>> barrier() override;
    const storage::ReplicaStatus& status() const override { return status_; }

    wire::CommandResult apply(wire::Command command);

    std::optional<core::Error> failure;  ///< what propose and barrier answer instead
    std::function<void()> meanwhile;     ///< happens once, just before the next command is applied
    std::vector<wire::Command> proposed;
    storage::ReplicaStatus status_;

 private:
    storage::state::StateMachine& machine_;
    core::Clock& clock_;
};

/// Knows passwords, and tickets that are just the principal's name.
class PlayedKerberos final : public services::KerberosDoor {
 public:
    auth::AcceptOutcome accept(core::BytesView token, core::BytesView channel_binding) override;
    core::Result<auth::GssPeer> check_password(const std::string& principal,
                                               std::string_view password) override;

    std::map<std::string, std::string> passwords;
    std::map<std::string, auth::GssPeer> peers;  ///< what tickets say beyond the principal
    int password_checks = 0;
};

using HeaderList = std::vector<std::pair<std::string, std::string>>;

struct Answer {
    int status = 0;
    net::http::Headers headers;
    std::string body;
    core::Json json() const;
    /// error.code and error.message.
    std::string code() const { return json()["error"]["code"].as_string(); }
    std::string message() const { return json()["error"]["message"].as_string(); }
};

class ApiWorld {
 public:
    /// With users admin (in `admins`, may everything), alice (no rule), bob (may view tenant shop).
    explicit ApiWorld(bool embedded_realm = true);
    ~ApiWorld();
    ApiWorld(const ApiWorld&) = delete;
    ApiWorld& operator=(const ApiWorld&) = delete;

    /// One request over a kept connection. `headers` come after Host.
    Answer send(std::string method, std::string target, HeaderList headers = {}, std::string body = {});
    /// The same with a token of `user`, and as JSON when there is a body.
    Answer as(const std::string& user, std::string method, std::string target, std::string body = {},
              HeaderList headers = {});
    /// A token by ticket, made once for each user.
    const std::string& token(const std::string& user);
    /// Reads a stream until `enough` says so; the text as it came.
    std::string stream(const std::string& user, std::string target, HeaderList headers,
                       std::function<bool(const std::string&)> enough, std::function<void()> meanwhile = {});

    std::string directory;
    net::Loop loop{"api"};
    net::WorkerPool workers{"workers", 2, 256};
    SetClock clock;
    core::MetricRegistry metrics;
    net::PosixDisk disk;
    std::unique_ptr<storage::sqlite::Vfs> vfs = storage::sqlite::Vfs::over_unix();
    storage::feed::Hub hub{storage::feed::HubLimits{}, metrics};
    std::unique_ptr<storage::state::StateMachine> machine;
    std::unique_ptr<FakeStateDoor> state;
    PlayedKerberos kerberos;
    std::unique_ptr<services::RealmDoor> realm;
    std::unique_ptr<services::Api> api;
    std::unique_ptr<net::http::Server> server;
    std::string host;  ///< "localhost:PORT"

 private:
    void open_state(bool embedded_realm);
    void open_api();
    std::unique_ptr<net::http::ClientConnection> dial();
    net::Task<core::Result<std::string>> read_stream(net::http::ClientConnection& connection,
                                                     net::http::ClientRequest request,
                                                     std::function<bool(const std::string&)>& enough,
                                                     std::function<void()>& meanwhile);

    uint16_t port_ = 0;
    std::unique_ptr<net::http::ClientConnection> client_;
    std::map<std::string, std::string> tokens_;
};

std::string negotiate(const std::string& principal);

}  // namespace smackd::test
