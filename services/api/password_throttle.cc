#include "services/api/password_throttle.h"

#include <algorithm>

namespace smackd::services {
namespace {

constexpr uint32_t kSourceFactor = 4;  ///< one address may stand for several people

std::string user_key(std::string_view user, std::string_view source) {
    return std::format("u {} {}", user, source);
}
std::string source_key(std::string_view source) {
    return std::format("s {}", source);
}

}  // namespace

core::Result<void> PasswordThrottle::begin(std::string_view user, std::string_view source,
                                           core::Instant now) {
    TRY(check(user_key(user, source), kPasswordTriesFree, now));
    TRY(check(source_key(source), kPasswordTriesFree * kSourceFactor, now));
    count(user_key(user, source), now);
    count(source_key(source), now);
    return {};
}

void PasswordThrottle::right(std::string_view user, std::string_view source) {
    counts_.erase(user_key(user, source));
    take_back(source_key(source));
}

void PasswordThrottle::undecided(std::string_view user, std::string_view source) {
    take_back(user_key(user, source));
    take_back(source_key(source));
}

void PasswordThrottle::count(std::string key, core::Instant now) {
    if (!counts_.contains(key) && counts_.size() >= kPasswordThrottleEntries) drop_oldest();
    Count& count = counts_[std::move(key)];
    if (now - count.last > kPasswordForget) count.wrong = 0;
    ++count.wrong;
    count.last = now;
}

void PasswordThrottle::take_back(const std::string& key) {
    const auto found = counts_.find(key);
    if (found != counts_.end() && --found->second.wrong == 0) counts_.erase(found);
}

core::Duration PasswordThrottle::wait_of(const Count& count, uint32_t free_tries) {
    if (count.wrong < free_tries) return core::Duration{0};
    const uint32_t doublings = std::min(count.wrong - free_tries, 9U);
    return std::min<core::Duration>(core::seconds(1U << doublings), kPasswordWaitMax);
}

core::Result<void> PasswordThrottle::check(const std::string& key, uint32_t free_tries, core::Instant now) {
    const auto found = counts_.find(key);
    if (found == counts_.end() || now - found->second.last > kPasswordForget) return {};
    const core::Duration left = wait_of(found->second, free_tries) - (now - found->second.last);
    if (left <= core::Duration{0}) return {};
    const auto left_ms = std::chrono::ceil<core::milliseconds>(left).count();
    return std::unexpected(core::Error{
        core::Errc::kBusy, std::format("too many wrong passwords; try again in {} s", (left_ms + 999) / 1000),
        static_cast<uint32_t>(left_ms)});
}

void PasswordThrottle::drop_oldest() {
    const auto oldest = std::ranges::min_element(
        counts_, {}, [](const auto& entry) { return entry.second.last.since_start; });
    counts_.erase(oldest);
}

}  // namespace smackd::services
