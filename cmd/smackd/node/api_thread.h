// The API thread: HTTP doors on TCP and the Unix socket, and the API behind them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "auth/refusal_log.h"
#include "cmd/smackd/bootstrap.h"
#include "cmd/smackd/config.h"
#include "cmd/smackd/node/backups.h"
#include "cmd/smackd/node/consensus.h"
#include "cmd/smackd/node/loop_thread.h"
#include "cmd/smackd/node/state_gateway.h"
#include "cmd/smackd/node/tls_identities.h"
#include "services/api/api.h"

namespace smackd::cmd {

inline constexpr core::Duration kRequestGrace =
    core::seconds(2);  ///< for running requests when the node stops

struct ApiThreadOptions {
    DataDirectory directory{{}};
    NodeIdentity identity;
    std::string listen;                   ///< HOST:PORT
    std::vector<std::string> host_names;  ///< the Host headers that are answered
    bool plain_http = false;
    int64_t token_life_s = auth::kTokenLifeSeconds;
    std::string keytab;  ///< of the site's realm; unused with an embedded realm
    std::string kdc;     ///< HOST:PORT of this node's KDC, embedded realm
    services::BackupPlan backup;
};

/// All outlive it.
struct ApiThreadEnvironment {
    core::Disk& disk;
    core::Clock& clock;
    net::WorkerPool& workers;
    net::WorkerPool& password_workers;
    TlsIdentities& identities;
    const ClusterSecrets& secrets;
    core::MetricRegistry& metrics;
    core::Logger logger;
    Consensus& consensus;
    storage::feed::Hub& hub;
    storage::state::ReaderOptions reader;
    storage::sqlite::Vfs& vfs;
    /// Pins the committed state for a backup; called on the consensus thread.
    core::Callback<core::Result<storage::SnapshotTask>()> pin_state;
    /// Gossip as it runs now, or null; any thread.
    core::Callback<std::shared_ptr<Liveness>()> liveness;
    services::TasksDoor* tasks = nullptr;  ///< tasks that run here
};

class ApiThread {
 public:
    /// Listens and serves; errors name the address and the flag that moves it.
    static core::Result<std::unique_ptr<ApiThread>> start(ApiThreadOptions options,
                                                          ApiThreadEnvironment environment);
    /// stop() when that was not called.
    ~ApiThread();
    /// Stops accepting, lets requests end for kRequestGrace, then cuts them. Idempotent. The loop itself
    /// lives on: what consensus still owes to it arrives nowhere.
    void stop();
    /// Any thread: a refusal at another door of this node.
    void note_refusal(auth::Refusal refusal);
    net::Loop& loop() { return thread_.loop(); }
    /// Any thread, as `done`: what `node` asks for one of its tasks (task_relay.h).
    void ask_for_task(core::NodeId node, std::string_view call, core::Bytes request,
                      core::Callback<void(core::Result<core::Bytes>)> done);

 private:
    ApiThread(ApiThreadOptions options, ApiThreadEnvironment environment);
    core::Result<void> begin();
    core::Result<void> make_doors();
    void make_backups();
    core::Result<void> listen();
    services::ApiOptions api_options() const;
    net::Task<core::Result<core::Bytes>> answer_for_task(core::NodeId node, std::string_view call,
                                                         core::Bytes request);

    ApiThreadOptions options_;
    ApiThreadEnvironment environment_;
    LoopThread thread_;
    net::TlsEngine engine_;
    StateGateway state_;
    std::unique_ptr<services::KerberosDoor> kerberos_;
    std::unique_ptr<services::RealmDoor> realm_;
    std::unique_ptr<auth::RefusalLog> refusals_;
    std::unique_ptr<Backups> backups_;
    std::unique_ptr<services::LivenessDoor> liveness_;
    std::unique_ptr<services::Api> api_;
    std::unique_ptr<net::http::Server> server_;
    net::Scope for_tasks_;
    bool stopped_ = false;
};

}  // namespace smackd::cmd
