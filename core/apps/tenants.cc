#include "core/apps/tenants.h"

#include "core/names.h"

namespace smackd::apps {

using core::Errc;
using core::fail;
using core::Result;

// The state takes any setting, so two tenants may claim one path: the first by name has it, on every node.
void Tenants::set(const std::string& name, std::vector<std::string> paths) {
    if (paths.empty()) {
        tenants_.erase(name);
    } else {
        tenants_[name] = std::move(paths);
    }
    owners_.clear();
    for (const auto& [tenant, owned] : tenants_) {
        for (const std::string& path : owned) owners_.emplace(path, tenant);
    }
}

const std::string& Tenants::of(std::string_view app_id) const {
    static const std::string nobody;
    if (owners_.empty()) return nobody;
    while (!app_id.empty()) {
        if (const auto found = owners_.find(app_id); found != owners_.end()) return found->second;
        const size_t slash = app_id.rfind('/');
        app_id = slash == std::string_view::npos ? std::string_view{} : app_id.substr(0, slash);
    }
    return nobody;
}

Result<void> Tenants::check(const std::string& name, const std::vector<std::string>& paths) const {
    if (auto checked = core::check_group_name(name); !checked)
        return core::pass(std::move(checked), "tenant");
    if (paths.empty() || paths.size() > kTenantPathsMax)
        return fail(Errc::kInvalid, "paths: must be 1 to {}", kTenantPathsMax);
    for (const std::string& path : paths) {
        if (auto checked = core::check_path(path); !checked) return core::pass(std::move(checked), "paths");
        // Who owns the root would be everybody's tenant, and common apps would be nobody's.
        if (path == "/") return fail(Errc::kInvalid, "paths '/': is everybody's");
        const auto owner = owners_.find(path);
        if (owner != owners_.end() && owner->second != name)
            return fail(Errc::kConflict, "paths '{}': belongs to tenant '{}'", path, owner->second);
    }
    if (!tenants_.contains(name) && tenants_.size() >= kTenantsMax)
        return fail(Errc::kBusy, "there are {} tenants, which is the most", kTenantsMax);
    return {};
}

}  // namespace smackd::apps
