#include "core/marathon/app_json.h"

#include <algorithm>

#include "core/marathon/read_app.h"
#include "core/marathon/timestamp.h"

namespace smackd::marathon {

using core::Json;
using wire::AppDefinition;

namespace {

/// An object whose members can be taken out.
class Members {
 public:
    explicit Members(const Json& json) : members_(json.as_object()) {}

    bool has(std::string_view name) const {
        return std::ranges::any_of(
            members_, [&](const auto& one) { return one.first == name && !one.second.is_null(); });
    }
    void remove(std::string_view name) {
        std::erase_if(members_, [&](const auto& one) { return one.first == name; });
    }
    void set(std::string_view name, Json value) {
        remove(name);
        members_.emplace_back(std::string(name), std::move(value));
    }
    Json json() && { return Json(std::move(members_)); }

 private:
    Json::Object members_;
};

Json without(const Json& json, std::string_view name) {
    Members members(json);
    members.remove(name);
    return std::move(members).json();
}

bool given(const Json& json, std::string_view name) {
    return !json[name].is_null();
}

/// docker.portMappings of an update that names no network: in the new form, since the app's networks are.
Json with_new_port_mappings(const Json& update) {
    const Json& docker = update["container"]["docker"];
    if (!given(docker, "portMappings") || given(docker, "network") || given(update, "ipAddress"))
        return update;
    if (given(update["container"], "portMappings")) return update;
    Json container = update["container"];
    container.set("portMappings", docker["portMappings"]);
    container.set("docker", without(docker, "portMappings"));
    Json changed = update;
    changed.set("container", std::move(container));
    return changed;
}

std::string_view mode_of(const Json& networks) {
    const Json::Array& list = networks.as_array();
    if (list.empty()) return "host";
    const Json& mode = list.front()["mode"];
    return mode.is_string() ? std::string_view(mode.as_string()) : std::string_view("container");
}

bool leads_to_host_mode(const Json& update, const Json& current) {
    if (given(update, "networks")) return mode_of(update["networks"]) == "host";
    const Json& docker = update["container"]["docker"];
    if (given(docker, "network")) return docker["network"].as_string() == "HOST";
    if (given(update, "ipAddress")) return false;
    return mode_of(current["networks"]) == "host";
}

/// What of the current definition an update silently replaces, beyond the members it names.
void remove_replaced(const Json& update, Members& merged, const Json& current) {
    if (given(update, "cmd")) merged.remove("args");
    if (given(update, "args")) merged.remove("cmd");
    if (given(update, "uris")) merged.remove("fetch");
    if (given(update, "ports")) merged.remove("portDefinitions");
    const bool old_network = given(update["container"]["docker"], "network") || given(update, "ipAddress");
    if (old_network) merged.remove("networks");
    if (leads_to_host_mode(update, current)) {
        if (!given(update, "container") && given(current, "container"))
            merged.set("container", without(current["container"], "portMappings"));
        return;
    }
    merged.remove("portDefinitions");
    merged.remove("requirePorts");
}

}  // namespace

Checked<AppDefinition> app_from_json(const Json& json, const AppContext& context) {
    Violations violations;
    AppDefinition app = read_app(json, "", context, violations);
    if (!violations.empty()) return std::unexpected(std::move(violations).problem());
    return app;
}

Checked<AppDefinition> updated_app(const AppDefinition& current, const Json& update,
                                   const AppContext& context) {
    if (!update.is_object()) return app_from_json(update, context);
    const Json before = app_to_json(current);
    const Json changes = with_new_port_mappings(update);
    Members merged(before);
    remove_replaced(changes, merged, before);
    for (const auto& [name, value] : changes.as_object()) {
        if (!value.is_null()) merged.set(name, value);
    }
    AppContext of_current = context;
    of_current.id = current.id();
    TRY_ASSIGN(AppDefinition app, app_from_json(std::move(merged).json(), of_current));
    app.set_tenant(current.tenant());
    return app;
}

Checked<int64_t> rollback_of(const Json& body) {
    const Json& version = body["version"];
    if (version.is_null()) return 0;
    Violations violations;
    for (const auto& [name, value] : body.as_object()) {
        if (name == "version" || name == "id" || value.is_null()) continue;
        violations.add("/version", "The 'version' field may only be combined with the 'id' field.");
        break;
    }
    int64_t version_ms = 0;
    if (!version.is_string()) {
        violations.add_type("/version", "error.expected.jsstring: must be a timestamp");
    } else if (const auto parsed = parse_timestamp(version.as_string()); !parsed) {
        violations.add("/version", parsed.error().message);
    } else {
        version_ms = *parsed;
    }
    if (!violations.empty()) return std::unexpected(std::move(violations).problem());
    return version_ms;
}

Checked<Json> parse_body(std::string_view text) {
    auto json = Json::parse(text);
    if (!json) return std::unexpected(Problem::not_json(json.error().message));
    return *std::move(json);
}

}  // namespace smackd::marathon
