#include "services/api/app_warnings.h"

#include <algorithm>
#include <format>

#include "core/apps/routes.h"

namespace smackd::services {
namespace {

/// Whether there is an app of that id or below that group.
bool is_there(const AppsModel& model, const std::string& id) {
    const auto at = model.apps.lower_bound(id);
    if (at != model.apps.end() && at->first == id) return true;
    const std::string prefix = id == "/" ? id : id + "/";
    const auto below = model.apps.lower_bound(prefix);
    return below != model.apps.end() && below->first.starts_with(prefix);
}

bool has_service_port(const wire::AppDefinition& app, uint32_t service_port) {
    return std::ranges::any_of(app.ports(),
                               [&](const wire::Port& port) { return port.service_port() == service_port; });
}

}  // namespace

std::vector<std::string> app_warnings(const Call& call, const AppsModel& model,
                                      const wire::AppDefinition& app) {
    std::vector<std::string> warnings;
    const apps::Routes routes = apps::routes_of(app);
    for (const apps::RouteWarning& warning : routes.warnings)
        warnings.push_back(std::format("label {} {}", warning.label, warning.text));
    for (const std::string& id : app.dependencies()) {
        if (!is_there(model, id))
            warnings.push_back(std::format("dependency {} does not exist: it is not waited for", id));
    }
    for (const apps::Route& route : routes.routes) {
        if (route.service_port == 0 || route.groups.empty()) continue;
        for (const auto& [id, other] : model.apps) {
            if (id == app.id() || !has_service_port(other.put, route.service_port) ||
                !call.may(core::Action::kView, id))
                continue;
            warnings.push_back(std::format("service port {} is that of {}, too: requests go to either",
                                           route.service_port, id));
        }
    }
    return warnings;
}

void add_warnings(core::Json& answer, const std::vector<std::string>& warnings) {
    if (warnings.empty()) return;
    core::Json list = core::Json::array();
    for (const std::string& warning : warnings) list.push(warning);
    answer.set("warnings", std::move(list));
}

}  // namespace smackd::services
