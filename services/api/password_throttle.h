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

/// Counts wrong passwords per user and per source address. Loop thread only.
class PasswordThrottle {
 public:
    /// kBusy with the time to wait while `user` or `source` has to.
    core::Result<void> admit(std::string_view user, std::string_view source, core::Instant now);
    void wrong(std::string_view user, std::string_view source, core::Instant now);
    void right(std::string_view user, std::string_view source);

 private:
    struct Count {
        uint32_t wrong = 0;
        core::Instant last;
    };
    static core::Duration wait_of(const Count& count, uint32_t free_tries);
    core::Result<void> check(const std::string& key, uint32_t free_tries, core::Instant now);
    void drop_oldest();

    std::unordered_map<std::string, Count> counts_;
};

}  // namespace smackd::services
