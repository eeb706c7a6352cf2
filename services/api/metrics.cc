#include "services/api/metrics.h"

#include <format>

namespace smackd::services {
namespace {

constexpr std::array<std::string_view, 6> kClassNames = {"health", "static", "sign_in",
                                                         "read",   "write",  "events"};
constexpr std::array<std::string_view, 4> kOutcomeNames = {"ok", "refused", "failed", "other"};
constexpr std::array<std::string_view, kRefusalClasses> kRefusalNames = {
    "nobody",    "clock",    "keytab", "ticket", "token",      "password",
    "principal", "registry", "policy", "host",   "cross_site", "transport"};

size_t outcome_of(int status) {
    if (status >= 200 && status < 400) return 0;
    if (status >= 400 && status < 500) return 1;
    return status >= 500 ? 2 : 3;
}

}  // namespace

std::string_view refusal_class_name(RefusalClass refusal) {
    return kRefusalNames[static_cast<size_t>(refusal)];
}

RefusalClass classify(auth::RefusalReason reason) {
    using enum auth::RefusalReason;
    switch (reason) {
        case kClockSkew:
        case kTicketNotYetValid:
            return RefusalClass::kClock;
        case kNoKey:
        case kStaleKey:
        case kUnreadableKeytab:
            return RefusalClass::kKeytab;
        case kWrongRealm:
            return RefusalClass::kPrincipal;
        default:
            return RefusalClass::kTicket;
    }
}

ApiMetrics::ApiMetrics(core::MetricRegistry& registry)
    : tickets_accepted(registry.counter("smackd_api_tickets_accepted_total", "Kerberos tickets accepted")),
      passwords_accepted(registry.counter("smackd_api_passwords_accepted_total", "Passwords found right")),
      tokens_issued(registry.counter("smackd_api_tokens_issued_total", "Tokens issued at sign-in")),
      tokens_verified(registry.counter("smackd_api_tokens_verified_total", "Token signatures checked")),
      watchers_cut(registry.counter("smackd_api_watchers_cut_total",
                                    "Event streams ended because their reader was slow")),
      policy_reloads(registry.counter("smackd_api_policy_reloads_total",
                                      "Times users, groups and rules were read anew")),
      watchers(registry.gauge("smackd_api_watchers", "Open event streams")),
      ticket_seconds(registry.histogram("smackd_api_ticket_seconds",
                                        "Time to check one Kerberos ticket, queue included")) {
    for (size_t i = 0; i < kClasses; ++i) {
        for (size_t k = 0; k < kOutcomes; ++k) {
            requests_[i][k] = &registry.counter(
                "smackd_api_requests_total", "Requests answered",
                std::format("class=\"{}\",outcome=\"{}\"", kClassNames[i], kOutcomeNames[k]));
        }
    }
    for (size_t i = 0; i < kClasses; ++i) {
        durations_[i] = &registry.histogram("smackd_api_request_seconds", "Time to answer, without sending",
                                            std::format("class=\"{}\"", kClassNames[i]));
    }
    for (size_t i = 0; i < kRefusalClasses; ++i) {
        refusals_[i] = &registry.counter("smackd_api_refusals_total", "Requests refused by reason",
                                         std::format("reason=\"{}\"", kRefusalNames[i]));
    }
}

void ApiMetrics::request(RequestClass request_class, int status, core::Duration took) {
    const auto index = static_cast<size_t>(request_class);
    requests_[index][outcome_of(status)]->add();
    durations_[index]->observe(took);
}

}  // namespace smackd::services
