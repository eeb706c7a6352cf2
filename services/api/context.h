// What handlers work with: the environment the API is given, and what it made of it.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "auth/http_rules.h"
#include "auth/identity.h"
#include "auth/refusal_log.h"
#include "auth/token.h"
#include "core/clock.h"
#include "core/logger.h"
#include "core/metrics.h"
#include "net/loop.h"
#include "net/scope.h"
#include "net/worker_pool.h"
#include "services/api/backup_door.h"
#include "services/api/event_texts.h"
#include "services/api/feed_reader.h"
#include "services/api/kerberos_door.h"
#include "services/api/liveness_door.h"
#include "services/api/metrics.h"
#include "services/api/reader_pool.h"
#include "services/api/realm_door.h"
#include "services/api/sign_in.h"
#include "services/api/state_door.h"
#include "services/api/state_view.h"
#include "services/api/tasks_door.h"
#include "services/apps/cache.h"

namespace smackd::services {

inline constexpr size_t kRefusalsShown = 1000;  ///< kept in memory for GET /smack/v1/refusals
inline constexpr size_t kWatchersMax = 1024;    ///< event streams at once
inline constexpr core::seconds kEventHeartbeat{15};

/// This server, as /smack/v1/status tells.
struct NodeFacts {
    core::NodeId id;
    std::string machine;
    std::string version;
};

struct ApiOptions {
    NodeFacts node;
    std::string cluster_id;  ///< issuer of tokens
    auth::HostRules hosts;   ///< names this door answers to
    SignInRules sign_in;
    std::vector<auth::TokenKey> token_keys;          ///< the first one signs; all are accepted
    int64_t token_life_s = auth::kTokenLifeSeconds;  ///< 1 to kTokenLifeSecondsMax
    std::string kdc{};  ///< HOST:PORT of this server's KDC; empty: the realm is the site's
    core::Duration event_heartbeat = kEventHeartbeat;
};

/// All outlive the API.
struct ApiEnvironment {
    net::Loop& loop;                    ///< everything of the API runs here
    net::WorkerPool& workers;           ///< tickets, signatures, reads of the state
    net::WorkerPool& password_workers;  ///< may wait long for a silent KDC
    core::Clock& clock;
    core::MetricRegistry& registry;
    core::Logger logger;
    StateDoor& state;
    storage::feed::Hub& feed;
    storage::state::ReaderOptions reader;  ///< where the committed state is
    KerberosDoor& kerberos;
    RealmDoor* realm = nullptr;            ///< only with the embedded realm
    auth::RefusalLog* refusals = nullptr;  ///< nullptr: refusals are only counted and shown
    BackupDoor* backups = nullptr;         ///< nullptr: no backups can be made here
    LivenessDoor* liveness = nullptr;      ///< nullptr: nodes are shown without it
    TasksDoor* tasks = nullptr;            ///< nullptr: nothing is known of tasks and nodes
};

/// A refusal as GET /smack/v1/refusals shows it.
struct ShownRefusal {
    core::WallTime time;
    auth::Refusal refusal;
};

struct ApiContext {
    ApiContext(ApiEnvironment given, ApiOptions chosen);

    /// Counts, remembers and writes down a refusal.
    void record_refusal(RefusalClass reason, std::string_view principal, const net::http::Request& request,
                        const net::http::ConnectionInfo& connection, const core::Error& error);

    /// Remembers and writes down a refusal of any door.
    void note_refusal(auth::Refusal refusal);

    ApiEnvironment environment;
    ApiOptions options;
    core::Instant started;
    ApiMetrics metrics;
    ReaderPool readers;
    StateCache cache;
    AppsCache apps;
    FeedListener policy_changes;  ///< keeps the cache honest
    auth::TokenVerifier tokens;
    SignIn sign_in;
    std::deque<ShownRefusal> recent_refusals;  ///< the newest last
    EventTexts event_texts;
    size_t watchers = 0;
};

}  // namespace smackd::services
