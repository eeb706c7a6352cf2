#include "cmd/smackd/node/api_thread.h"

#include <sys/stat.h>
#include <unistd.h>

#include <format>

#include "auth/identity.h"
#include "cmd/smackd/node/foreign_wait.h"
#include "cmd/smackd/node/kerberos.h"
#include "cmd/smackd/node/task_relay.h"
#include "cmd/smackd/version.h"
#include "net/address.h"

namespace smackd::cmd {
namespace {

inline constexpr uint32_t kApiSocketMode = 0660;

net::Task<bool> close_server(net::http::Server& server) {
    co_await server.close(kRequestGrace);
    co_return true;
}

net::Task<bool> close_scope(net::Scope& scope) {
    co_await scope.close();
    co_return true;
}

net::Task<bool> close_backups(Backups& backups) {
    co_await backups.close();
    co_return true;
}

// Tickets seen are remembered in memory-backed /run: nobody could sign in while the data directory's disk is
// full.
std::string replay_cache(const DataDirectory& directory) {
    std::string folder = directory.runtime();
    bool made = ::mkdir(folder.c_str(), 0700) == 0;
    struct stat info{};
    bool ours = ::lstat(folder.c_str(), &info) == 0 && S_ISDIR(info.st_mode) && info.st_uid == ::geteuid();
    return (made || ours ? folder : directory.run()) + "/replays";
}

/// What gossip says of all nodes.
class NodeLiveness final : public services::LivenessDoor {
 public:
    explicit NodeLiveness(core::Callback<std::shared_ptr<Liveness>()> liveness)
        : liveness_(std::move(liveness)) {}
    std::vector<services::LiveMember> members() const override { return live_members(liveness_()); }

 private:
    mutable core::Callback<std::shared_ptr<Liveness>()> liveness_;
};

}  // namespace

core::Result<std::unique_ptr<ApiThread>> ApiThread::start(ApiThreadOptions options,
                                                          ApiThreadEnvironment environment) {
    std::unique_ptr<ApiThread> api(new ApiThread(std::move(options), std::move(environment)));
    auto begun = api->begin();
    api->thread_.start();
    if (!begun) return core::pass(std::move(begun));
    return api;
}

ApiThread::ApiThread(ApiThreadOptions options, ApiThreadEnvironment environment)
    : options_(std::move(options)),
      environment_(std::move(environment)),
      thread_("api", environment_.logger),
      engine_(thread_.loop(), environment_.workers),
      state_(thread_.loop(), environment_.consensus, environment_.hub),
      for_tasks_(thread_.loop()) {}

ApiThread::~ApiThread() {
    stop();
}

core::Result<void> ApiThread::make_doors() {
    const DataDirectory& directory = options_.directory;
    const NodeIdentity& identity = options_.identity;
    std::string own = auth::http_principal(identity.name, identity.realm);
    std::string replays = replay_cache(directory);
    std::string keytab = identity.embedded_realm ? http_keytab_path(directory) : options_.keytab;
    // The file of an embedded realm holds HTTP/ keys only; one of the site may hold others.
    std::string accepted = identity.embedded_realm ? std::string() : own;
    kerberos_ = std::make_unique<NodeKerberos>(auth::AcceptorConfig{keytab, accepted, replays},
                                               auth::AcceptorConfig{keytab, own, {}});
    if (environment_.secrets.master_key) {
        TRY_ASSIGN(auth::Realm realm, auth::Realm::open(identity.realm, *environment_.secrets.master_key));
        realm_ = std::make_unique<services::EmbeddedRealmDoor>(std::move(realm), environment_.clock);
    }
    TRY_ASSIGN(refusals_, auth::RefusalLog::open(environment_.disk, directory.audit()));
    make_backups();
    liveness_ = std::make_unique<NodeLiveness>(std::move(environment_.liveness));
    return {};
}

void ApiThread::make_backups() {
    BackupsEnvironment environment{thread_.loop(),
                                   environment_.disk,
                                   environment_.vfs,
                                   environment_.clock,
                                   environment_.secrets.cluster_key,
                                   environment_.consensus,
                                   environment_.reader,
                                   environment_.metrics,
                                   environment_.logger.named("backup"),
                                   std::move(environment_.pin_state)};
    backups_ = std::make_unique<Backups>(
        BackupsOptions{options_.directory, options_.identity, options_.backup, std::string(kVersion)},
        std::move(environment));
    thread_.loop().post([this] { backups_->begin(); }, "backups");
}

services::ApiOptions ApiThread::api_options() const {
    services::ApiOptions options;
    options.node = {core::NodeId{options_.identity.node_id}, options_.identity.name, std::string(kVersion)};
    options.cluster_id = options_.identity.cluster_id;
    options.hosts.names = options_.host_names;
    options.sign_in.identities.home_realm = options_.identity.realm;
    options.token_keys = {environment_.secrets.token_key};
    options.token_life_s = options_.token_life_s;
    options.kdc = options_.kdc;
    return options;
}

core::Result<void> ApiThread::begin() {
    TRY(make_doors());
    services::ApiEnvironment environment{thread_.loop(),
                                         environment_.workers,
                                         environment_.password_workers,
                                         environment_.clock,
                                         environment_.metrics,
                                         environment_.logger,
                                         state_,
                                         environment_.hub,
                                         environment_.reader,
                                         *kerberos_,
                                         realm_.get(),
                                         refusals_.get(),
                                         backups_.get(),
                                         liveness_.get(),
                                         environment_.tasks};
    api_ = std::make_unique<services::Api>(std::move(environment), api_options());
    server_ = std::make_unique<net::http::Server>(
        thread_.loop(), &engine_,
        [this](net::http::Request& request, net::http::ConnectionInfo& connection) {
            return api_->handle(request, connection);
        },
        net::http::ServerLimits{}, environment_.logger);
    return listen();
}

core::Result<void> ApiThread::listen() {
    auto address = net::Address::parse(options_.listen);
    if (!address) return core::pass(std::move(address), "API address");
    auto tcp = net::Listener::tcp(thread_.loop(), *address);
    if (!tcp) {
        return core::pass(std::move(tcp),
                          std::format("listening on {} (choose another with --api-addr)", options_.listen));
    }
    TlsIdentities& identities = environment_.identities;
    server_->listen(std::move(*tcp),
                    {"api", [&identities] { return identities.api_server(); }, options_.plain_http});
    auto local = net::Listener::unix_socket(thread_.loop(), options_.directory.api_socket(), kApiSocketMode);
    if (!local) return core::pass(std::move(local), options_.directory.api_socket());
    server_->listen(std::move(*local), {"unix", {}, true});
    return {};
}

void ApiThread::note_refusal(auth::Refusal refusal) {
    thread_.loop().post(
        [this, refusal = std::move(refusal)]() mutable {
            if (api_) api_->note_refusal(std::move(refusal));
        },
        "refusal");
}

void ApiThread::ask_for_task(core::NodeId node, std::string_view call, core::Bytes request,
                             core::Callback<void(core::Result<core::Bytes>)> done) {
    thread_.loop().post(
        [this, node, call, request = std::move(request), done = std::move(done)]() mutable {
            if (for_tasks_.cancelled())
                return done(core::fail(core::Errc::kUnavailable, "this server is stopping"));
            for_tasks_.spawn(tell_result(answer_for_task(node, call, std::move(request)), std::move(done)));
        },
        "task");
}

net::Task<core::Result<core::Bytes>> ApiThread::answer_for_task(core::NodeId node, std::string_view call,
                                                                core::Bytes request) {
    if (call == kTaskTokenCall) {
        wire::TaskTokenRequest asked;
        if (!asked.ParseFromString(request))
            co_return core::fail(core::Errc::kInvalid, "{}: no wire.TaskTokenRequest", call);
        CO_TRY_ASSIGN(const wire::TaskToken token, co_await api_->task_token(node, asked.task()));
        co_return token.SerializeAsString();
    }
    wire::TaskRequest asked;
    if (!asked.ParseFromString(request))
        co_return core::fail(core::Errc::kInvalid, "{}: no wire.TaskRequest", call);
    CO_TRY_ASSIGN(const wire::TaskResponse response, co_await api_->answer_task(node, std::move(asked)));
    co_return response.SerializeAsString();
}

void ApiThread::stop() {
    if (std::exchange(stopped_, true)) return;
    if (backups_) backups_->cancel();
    if (server_) thread_.await<bool>([this] { return close_server(*server_); });
    thread_.await<bool>([this] { return close_scope(for_tasks_); });
    if (backups_) thread_.await<bool>([this] { return close_backups(*backups_); });
    thread_.call<bool>([this] {
        server_.reset();
        api_.reset();
        return true;
    });
}

}  // namespace smackd::cmd
