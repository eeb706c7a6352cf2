#include <format>

#include "cmd/smackd/commands/commands.h"
#include "cmd/smackd/commands/requests.h"
#include "cmd/smackd/doctor/doctor.h"

namespace smackd::cmd {
namespace {

std::string leader_name(const core::Json& leader) {
    if (leader.is_null()) return "none: no changes are possible now";
    return std::format("{} ({})", cell_text(leader["machine"]), cell_text(leader["address"]));
}

std::string backup_line(const core::Json& backup) {
    const int64_t time_ms = backup["last_time_ms"].as_integer();
    if (time_ms == 0) return backup["every_s"].as_integer() == 0 ? "never (backup.every)" : "none yet";
    return std::format("{} of revision {}, on {} ({})", date_text(time_ms),
                       cell_text(backup["last_revision"]), cell_text(backup["last_server"]),
                       cell_text(backup["last_file"]));
}

core::Result<void> status(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    TRY_ASSIGN(core::Json answer, client->get("/smack/v1/status"));
    if (context.output.json()) {
        context.output.document(answer);
        return {};
    }
    const core::Json& cluster = answer["cluster"];
    const core::Json& node = answer["node"];
    core::Json lines;
    lines.set("cluster", cluster["name"]).set("realm", cluster["realm"]).set("revision", cluster["revision"]);
    lines.set("leader", leader_name(answer["leader"])).set("term", answer["term"]);
    lines.set("node", node["machine"]).set("role", node["role"]).set("version", node["version"]);
    auto uptime = core::milliseconds(node["uptime_ms"].as_integer());
    auto contact = core::milliseconds(node["leader_contact_ms"].as_integer());
    lines.set("uptime", core::format_duration(uptime))
        .set("contact", core::format_duration(contact) + " ago");
    lines.set("backup", backup_line(answer["backup"])).set("task network", answer["task_network"]);
    std::vector<Column> columns;
    for (const auto& [name, value] : lines.as_object()) columns.push_back({name, name});
    context.output.record(lines, columns);
    context.output.say("");
    context.output.table("servers", answer["servers"],
                         {{"ID", "id"},
                          {"MACHINE", "machine"},
                          {"ADDRESS", "address"},
                          {"ROLE", "role"},
                          {"LEADER", "leader"}},
                         "No servers.");
    for (const core::Json& alarm : answer["alarms"].as_array()) {
        context.output.say(
            std::format("ALARM {}: {}", cell_text(alarm["name"]), cell_text(alarm["message"])));
    }
    return {};
}

core::Result<void> doctor(Context& context) {
    const Findings findings = examine(context);
    core::Json rows = core::Json::array();
    size_t failures = 0;
    size_t warnings = 0;
    for (const Finding& finding : findings) {
        failures += finding.verdict == Verdict::kFail ? 1 : 0;
        warnings += finding.verdict == Verdict::kWarn ? 1 : 0;
        context.output.say(finding_text(finding));
        rows.push(finding_json(finding));
    }
    context.output.say(
        std::format("{} checks: {} failed, {} to look at", findings.size(), failures, warnings));
    context.output.document(core::Json::object().set("findings", std::move(rows)));
    context.exit_code = failures == 0 ? kExitDone : kExitRefused;
    return {};
}

}  // namespace

std::vector<Command> status_commands() {
    return {
        {"status",
         "shows how this server and its cluster stand",
         "smackd status",
         {},
         with_server_options(),
         status},
        {"doctor",
         "looks for what is wrong with this machine, its node and its server, and says what to type",
         "smackd doctor",
         {},
         with_server_options(doctor_options()),
         doctor},
    };
}

}  // namespace smackd::cmd
