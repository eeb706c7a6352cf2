#include "services/api/row_json.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "core/ids.h"
#include "core/marathon/app_json.h"
#include "storage/state/app_rows.h"

namespace smackd::services {

using core::Json;

namespace {

template <class Repeated>
Json texts(const Repeated& values) {
    Json::Array array;
    array.reserve(static_cast<size_t>(values.size()));
    for (const std::string& value : values) array.emplace_back(value);
    return Json(std::move(array));
}

/// Members in the order of their names: a protobuf map has none of its own.
template <class Map>
Json text_map(const Map& values) {
    std::vector<std::pair<std::string, std::string>> sorted(values.begin(), values.end());
    std::ranges::sort(sorted);
    Json::Object object;
    for (auto& [key, value] : sorted) object.emplace_back(key, Json(std::move(value)));
    return Json(std::move(object));
}

std::string_view state_name(wire::MachineState state) {
    switch (state) {
        case wire::MACHINE_ALLOWED:
            return "allowed";
        case wire::MACHINE_SUSPENDED:
            return "suspended";
        default:
            return "unknown";
    }
}

template <class Row>
Json parsed_to_json(core::BytesView bytes) {
    Row row;
    if (!row.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return {};
    return to_json(row);
}

}  // namespace

Json to_json(const wire::PutUser& user) {
    Json json;
    json.set("name", user.name()).set("full_name", user.full_name()).set("disabled", user.disabled());
    return json;
}

Json to_json(const wire::PutGroup& group) {
    Json json;
    json.set("name", group.name())
        .set("description", group.description())
        .set("members", texts(group.members()));
    return json;
}

Json to_json(const wire::PutDirectoryGroup& group) {
    Json json;
    json.set("sid", group.sid()).set("group", group.group()).set("note", group.note());
    return json;
}

Json to_json(const wire::PutDirectoryUser& user) {
    Json json;
    json.set("user", user.user()).set("sids", texts(user.sids())).set("ticket_ms", user.ticket_s() * 1000);
    return json;
}

Json to_json(const wire::PutMachine& machine) {
    Json json;
    json.set("name", machine.name()).set("roles", texts(machine.roles()));
    json.set("attributes", text_map(machine.attributes())).set("state", state_name(machine.state()));
    json.set("generation", machine.generation());
    return json;
}

Json to_json(const wire::PutRule& rule) {
    Json json;
    json.set("id", rule.id()).set("subject", rule.subject()).set("actions", texts(rule.actions()));
    json.set("tenant", rule.tenant()).set("path", rule.path());
    return json;
}

Json to_json(const wire::PutSetting& setting) {
    Json json;
    json.set("name", setting.name()).set("value", setting.value());
    return json;
}

Json to_json(const wire::PutNode& node) {
    Json json;
    // Ids are 64 bits and JSON readers often keep 53: text.
    json.set("id", std::to_string(node.node_id()))
        .set("machine", node.machine())
        .set("address", node.address());
    // "version" is the row's own in lists; what runs there is "software".
    json.set("version", node.version()).set("software", node.version());
    json.set("certificate_not_after_ms", node.certificate_not_after_ms());
    Json roles = Json::array();
    for (const std::string& role : node.roles()) roles.push(role);
    json.set("roles", std::move(roles)).set("zone", node.zone()).set("generation", node.generation());
    json.set("proved_ms", node.proved_ms());
    return json;
}

Json to_json(const wire::DrainNode& drain) {
    Json json;
    json.set("start_ms", drain.start_ms()).set("deadline_s", drain.deadline_ms() / 1000);
    json.set("length_s", drain.length_ms() / 1000).set("note", drain.note());
    return json.set("principal", drain.principal());
}

Json to_json(const wire::AppDefinition& app) {
    return marathon::app_to_json(app);
}

Json to_json(const wire::Task& task) {
    Json json;
    json.set("id", task.id()).set("app", task.app_id()).set("node", std::to_string(task.node_id()));
    json.set("machine", task.machine()).set("state", storage::state::task_state_name(task.status().state()));
    json.set("desired", task.desired() == wire::Task::KILL ? "kill" : "run")
        .set("message", task.status().message());
    json.set("address", task.status().task_address()).set("app_version_ms", task.app_version_ms());
    return json;
}

Json to_json(const wire::Deployment& deployment) {
    Json apps = Json::array();
    for (const std::string& app : deployment.affected_apps()) apps.push(app);
    Json json;
    json.set("id", deployment.id()).set("apps", std::move(apps)).set("step", deployment.current_step());
    json.set("steps", deployment.steps_size()).set("message", deployment.message());
    return json;
}

Json row_to_json(std::string_view kind, core::BytesView row) {
    if (kind == "user") return parsed_to_json<wire::PutUser>(row);
    if (kind == "group") return parsed_to_json<wire::PutGroup>(row);
    if (kind == "directory_group") return parsed_to_json<wire::PutDirectoryGroup>(row);
    if (kind == "directory_user") return parsed_to_json<wire::PutDirectoryUser>(row);
    if (kind == "machine") return parsed_to_json<wire::PutMachine>(row);
    if (kind == "rule") return parsed_to_json<wire::PutRule>(row);
    if (kind == "setting") return parsed_to_json<wire::PutSetting>(row);
    if (kind == "node") return parsed_to_json<wire::PutNode>(row);
    if (kind == "drain") return parsed_to_json<wire::DrainNode>(row);
    if (kind == "app") return parsed_to_json<wire::AppDefinition>(row);
    if (kind == "task") return parsed_to_json<wire::Task>(row);
    if (kind == "deployment") return parsed_to_json<wire::Deployment>(row);
    return {};
}

Json to_json(const wire::FeedChange& change) {
    Json json;
    json.set("kind", change.kind()).set("key", change.key()).set("removed", change.removed());
    json.set("revision", core::Revision{change.epoch(), change.revision()}.to_string());
    json.set("time_ms", change.time_ms()).set("actor", change.actor());
    if (!change.removed()) json.set("row", row_to_json(change.kind(), change.row()));
    return json;
}

}  // namespace smackd::services
