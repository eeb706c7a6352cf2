// Tenants: who owns which paths. Tasks of different tenants are kept apart, on the network and in DNS; apps
// below nobody's path are common: they reach everybody and everybody reaches them. An allowance lets one
// tenant's tasks reach another's.
//
// On the network a tenant is a number, the same on every node, as packets between nodes carry it. It is a
// row of its own (number -> name), so that no two tenants can be given the same one.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace smackd::apps {

inline constexpr size_t kTenantsMax = 1000;
inline constexpr size_t kTenantPathsMax = 16;  ///< of one tenant
inline constexpr size_t kAllowancesMax = 1'000;
inline constexpr size_t kAllowedPortsMax = 16;  ///< of one allowance
/// Numbers of tenants; what packets between nodes carry has 16 bits.
inline constexpr uint32_t kCommonTenant = 1;
inline constexpr uint32_t kTenantNumberFirst = 2;
inline constexpr uint32_t kTenantNumberLast = 65'535;

/// A port as the task that is reached has it.
struct TenantPort {
    uint16_t port = 0;
    bool udp = false;
    auto operator<=>(const TenantPort&) const = default;
};
/// "8080", "8080/tcp", "53/udp". kInvalid names the rule.
core::Result<TenantPort> parse_tenant_port(std::string_view text);
std::string format_tenant_port(const TenantPort& port);

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

    /// The row of a number; empty: it is nobody's.
    void set_number(uint32_t number, const std::string& name);
    /// Of every tenant, by name. One without a row, of a state from before there were numbers, gets a free
    /// one that every node finds alike.
    std::map<std::string, uint32_t> numbers() const;
    /// What a tenant that is new is given: nobody's, and by its name, so that a number is rarely another's
    /// soon after. The one it has when it has one. 0: none is free.
    uint32_t number_for(const std::string& name) const;

    /// Lets tasks of `from` reach those of `to`: at these ports, or with all_ports() at every one and by any
    /// protocol; no ports: no longer.
    using Ports = std::vector<TenantPort>;
    void allow(const std::string& from, const std::string& to, Ports ports);
    static Ports all_ports() { return {TenantPort{}}; }
    /// (from, to) -> ports, sorted. Those of tenants that are gone are not in it.
    std::map<std::pair<std::string, std::string>, Ports> allowances() const;
    /// Whether allow() may do this. kInvalid names field and rule; kNotFound: no such tenant; kBusy: too
    /// many.
    core::Result<void> check_allowance(const std::string& from, const std::string& to,
                                       const Ports& ports) const;

    bool operator==(const Tenants& other) const {
        return tenants_ == other.tenants_ && numbers_ == other.numbers_ && allowances_ == other.allowances_;
    }

 private:
    std::map<uint32_t, std::string> numbers_;  // rows, also of tenants that are gone
    std::map<std::pair<std::string, std::string>, Ports> allowances_;
    std::map<std::string, std::vector<std::string>> tenants_;
    std::map<std::string, std::string, std::less<>> owners_;  // path -> name
};

}  // namespace smackd::apps
