// Slows down guessing: after a few wrong passwords for a user from one place, the next tries wait. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/clock.h"
#include "core/result.h"

namespace smackd::services {

inline constexpr uint32_t kPasswordTriesFree = 5;  ///< wrong ones before the first wait
inline constexpr core::seconds kPasswordWaitMax{300};
inline constexpr core::seconds kPasswordForget{900};  ///< after this much peace the count starts anew
inline constexpr size_t kPasswordThrottleEntries =
    8192;  ///< users and places remembered; the oldest is dropped

/// Counts tries per user and per source address. Loop thread only.
class PasswordThrottle {
 public:
    /// Counts a try as wrong before it is checked, so that many at once gain nothing; kBusy with the time to
    /// wait while `user` or `source` has to.
    core::Result<void> begin(std::string_view user, std::string_view source, core::Instant now);
    /// The password was right: the user's count starts anew, the source's loses this try.
    void right(std::string_view user, std::string_view source);
    /// Nobody could tell (no KDC answered): the try does not count.
    void undecided(std::string_view user, std::string_view source);

 private:
    struct Count {
        uint32_t wrong = 0;
        core::Instant last;
    };
    static core::Duration wait_of(const Count& count, uint32_t free_tries);
    core::Result<void> check(const std::string& key, uint32_t free_tries, core::Instant now);
    void count(std::string key, core::Instant now);
    void take_back(const std::string& key);
    void drop_oldest();

    std::unordered_map<std::string, Count> counts_;
};

}  // namespace smackd::services
