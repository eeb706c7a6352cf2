// Tenants: who owns which paths. Tasks of different tenants are kept apart, on the network and in DNS; apps
// below nobody's path are common: they reach everybody and everybody reaches them.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace smackd::apps {

inline constexpr size_t kTenantsMax = 1000;
inline constexpr size_t kTenantPathsMax = 16;  ///< of one tenant

class Tenants {
 public:
    /// Replaces a tenant's paths; none: it is gone.
    void set(const std::string& name, std::vector<std::string> paths);
    /// The tenant with the longest path at or above the app's; empty: common.
    const std::string& of(std::string_view app_id) const;
    /// Name -> paths.
    const std::map<std::string, std::vector<std::string>>& all() const { return tenants_; }
    /// Whether set() may do this. kInvalid names field and rule; kConflict: another tenant has the path;
    /// kBusy: too many.
    core::Result<void> check(const std::string& name, const std::vector<std::string>& paths) const;

    bool operator==(const Tenants& other) const { return tenants_ == other.tenants_; }

 private:
    std::map<std::string, std::vector<std::string>> tenants_;
    std::map<std::string, std::string, std::less<>> owners_;  // path -> name
};

}  // namespace smackd::apps
