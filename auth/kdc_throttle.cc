#include "auth/kdc_throttle.h"

#include <format>

namespace smackd::auth {
namespace {

std::string pair_key(std::string_view source, std::string_view principal) {
    return std::format("{} {}", source, principal);
}

}  // namespace

uint32_t EventTable::count(std::string_view key, core::Instant now) const {
    const auto found = by_key_.find(key);
    if (found == by_key_.end() || now - found->second->window_start >= window_) return 0;
    return found->second->events;
}

uint32_t EventTable::add(std::string_view key, core::Instant now) {
    if (const auto found = by_key_.find(key); found != by_key_.end()) {
        order_.splice(order_.begin(), order_, found->second);
    } else {
        if (order_.size() >= keys_max_) {
            by_key_.erase(order_.back().key);
            order_.pop_back();
        }
        order_.push_front(Entry{std::string(key), now});
        by_key_.emplace(order_.front().key, order_.begin());
    }
    Entry& entry = order_.front();
    if (now - entry.window_start >= window_) {
        entry.window_start = now;
        entry.events = 0;
    }
    return ++entry.events;
}

bool KdcThrottle::admit(std::string_view source, core::Instant now) {
    return requests_.add(source, now) <= limits_.requests_per_source_s;
}

bool KdcThrottle::may_try(std::string_view source, std::string_view principal, core::Instant now) const {
    return failures_by_source_.count(pair_key(source, principal), now) < limits_.failures_per_source_min &&
           failures_.count(principal, now) < limits_.failures_per_principal_min;
}

void KdcThrottle::failed(std::string_view source, std::string_view principal, core::Instant now) {
    failures_by_source_.add(pair_key(source, principal), now);
    failures_.add(principal, now);
}

}  // namespace smackd::auth
