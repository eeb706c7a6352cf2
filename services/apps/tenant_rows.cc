#include "services/apps/tenant_rows.h"

namespace smackd::services {
namespace {

/// Each row whose key begins so: what follows, and the value.
template <class Take>
void each_row(const AppsModel& model, std::string_view prefix, Take take) {
    for (auto row = model.names.lower_bound(std::string(prefix));
         row != model.names.end() && row->first.starts_with(prefix); ++row)
        take(row->first.substr(prefix.size()), row->second);
}

apps::Tenants::Ports ports_of(const std::vector<std::string>& texts) {
    apps::Tenants::Ports ports;
    for (const std::string& text : texts) {
        if (text == kEveryPort) return apps::Tenants::all_ports();
        if (const auto port = apps::parse_tenant_port(text)) ports.push_back(*port);
    }
    return ports;
}

}  // namespace

apps::Tenants tenants_of(const AppsModel& model) {
    apps::Tenants tenants;
    each_row(model, kTenantPrefix,
             [&](const std::string& name, const auto& paths) { tenants.set(name, paths); });
    each_row(model, kTenantNumberPrefix, [&](const std::string& text, const auto& names) {
        uint32_t number = 0;
        std::from_chars(text.data(), text.data() + text.size(), number);
        tenants.set_number(number, names.front());
    });
    each_row(model, kTenantAllowPrefix, [&](const std::string& pair, const auto& ports) {
        const size_t colon = pair.find(':');
        if (colon != std::string::npos)
            tenants.allow(pair.substr(0, colon), pair.substr(colon + 1), ports_of(ports));
    });
    return tenants;
}

}  // namespace smackd::services
