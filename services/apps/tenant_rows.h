// Tenants in the model: settings of the state, which come with the static DNS names (AppsModel::names), under
// keys that no DNS name can be.
//
//     tenant/NAME             its paths, separated by commas
//     tenant_number/NUMBER    the tenant's name
//     tenant_allow/FROM:TO    ports ("8080/tcp"), separated by commas, or "*"
#pragma once

#include <charconv>

#include "core/apps/tenants.h"
#include "services/apps/model.h"

namespace smackd::services {

/// Of the setting, and of the model's key.
inline constexpr std::string_view kTenantPrefix = "tenant/";
inline constexpr std::string_view kTenantNumberPrefix = "tenant_number/";
inline constexpr std::string_view kTenantAllowPrefix = "tenant_allow/";
inline constexpr std::string_view kEveryPort = "*";

inline bool is_tenant_key(std::string_view name) {
    return name.starts_with(kTenantPrefix) || name.starts_with(kTenantNumberPrefix) ||
           name.starts_with(kTenantAllowPrefix);
}

apps::Tenants tenants_of(const AppsModel& model);

}  // namespace smackd::services
