// Tenants in the model: the setting "tenant/NAME", its paths separated by commas. They come with the static
// DNS names (AppsModel::names), under a key that no DNS name can be.
#pragma once

#include "core/apps/tenants.h"
#include "services/apps/model.h"

namespace smackd::services {

/// Of the setting, and of the model's key.
inline constexpr std::string_view kTenantPrefix = "tenant/";

inline bool is_tenant_key(std::string_view name) {
    return name.starts_with(kTenantPrefix);
}

inline apps::Tenants tenants_of(const AppsModel& model) {
    apps::Tenants tenants;
    for (auto row = model.names.lower_bound(std::string(kTenantPrefix));
         row != model.names.end() && is_tenant_key(row->first); ++row)
        tenants.set(row->first.substr(kTenantPrefix.size()), row->second);
    return tenants;
}

}  // namespace smackd::services
