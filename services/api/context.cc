#include "services/api/context.h"

#include <utility>

namespace smackd::services {

ApiContext::ApiContext(ApiEnvironment given, ApiOptions chosen)
    : environment(std::move(given)),
      options(std::move(chosen)),
      started(environment.clock.now()),
      metrics(environment.registry),
      readers(environment.loop, environment.workers, environment.reader, environment.clock),
      cache(environment.loop, readers, metrics),
      apps(environment.loop, environment.workers, environment.feed, environment.reader),
      policy_changes(environment.loop, environment.feed, StateCache::kinds(), [this] { cache.invalidate(); }),
      tokens(options.cluster_id, &cache),
      sign_in({.loop = environment.loop,
               .workers = environment.workers,
               .password_workers = environment.password_workers,
               .clock = environment.clock,
               .kerberos = environment.kerberos,
               .tokens = tokens,
               .metrics = metrics},
              options.sign_in) {
    tokens.set_keys(options.token_keys);
}

void ApiContext::record_refusal(RefusalClass reason, std::string_view principal,
                                const net::http::Request& request,
                                const net::http::ConnectionInfo& connection, const core::Error& error) {
    metrics.refusal(reason);
    note_refusal({.reason = std::string(refusal_class_name(reason)),
                  .principal = std::string(principal),
                  .source = connection.peer,
                  .door = connection.listener,
                  .request = request.method + " " + request.path(),
                  .message = error.message});
}

void ApiContext::note_refusal(auth::Refusal refusal) {
    const core::WallTime now = environment.clock.wall();
    if (environment.refusals != nullptr) {
        auto recorded = environment.refusals->record(refusal, now);
        if (!recorded) environment.logger.warning("refusal log", {{"error", recorded.error().to_string()}});
    }
    recent_refusals.push_back({now, std::move(refusal)});
    if (recent_refusals.size() > kRefusalsShown) recent_refusals.pop_front();
}

}  // namespace smackd::services
