// What the API counts: requests by class and outcome, sign-ins, refusals by reason, watchers.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "auth/acceptor.h"
#include "core/metrics.h"
#include "services/api/router.h"

namespace smackd::services {

/// Why somebody was refused, in the words a message to them uses.
enum class RefusalClass : uint8_t {
    kNobody,     ///< no ticket, token or password was sent
    kClock,      ///< clocks differ, or a ticket of the future
    kKeytab,     ///< our keytab lacks the key, or cannot be read
    kTicket,     ///< expired, replayed, malformed, of another mechanism or binding
    kToken,      ///< expired, revoked, malformed or of another cluster
    kPassword,   ///< wrong, or tried too often
    kPrincipal,  ///< known to Kerberos, but of another realm or not a user's
    kRegistry,   ///< this cluster has no such user, or it is disabled
    kPolicy,     ///< no rule grants it
    kHost,       ///< a Host header that is not ours
    kCrossSite,  ///< another site's page sent the request
    kTransport,  ///< plain HTTP from elsewhere
};
inline constexpr size_t kRefusalClasses = 12;

/// "clock", "keytab", ...
std::string_view refusal_class_name(RefusalClass refusal);
RefusalClass classify(auth::RefusalReason reason);

class ApiMetrics {
 public:
    /// `registry` outlives this object.
    explicit ApiMetrics(core::MetricRegistry& registry);

    void request(RequestClass request_class, int status, core::Duration took);
    void refusal(RefusalClass refusal) { refusals_[static_cast<size_t>(refusal)]->add(); }

    core::Counter& tickets_accepted;
    core::Counter& passwords_accepted;
    core::Counter& tokens_issued;
    core::Counter& tokens_verified;  ///< first uses; later ones are answered from the cache
    core::Counter& watchers_cut;
    core::Counter& policy_reloads;
    core::Gauge& watchers;
    core::Histogram& ticket_seconds;

 private:
    static constexpr size_t kClasses = 6;
    static constexpr size_t kOutcomes = 4;  // 2xx and 3xx, 4xx, 5xx, the rest

    std::array<std::array<core::Counter*, kOutcomes>, kClasses> requests_{};
    std::array<core::Histogram*, kClasses> durations_{};
    std::array<core::Counter*, kRefusalClasses> refusals_{};
};

}  // namespace smackd::services
