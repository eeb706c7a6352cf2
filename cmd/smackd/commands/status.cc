#include <format>

#include "cmd/smackd/commands/commands.h"
#include "cmd/smackd/commands/requests.h"
#include "cmd/smackd/doctor.h"

namespace smackd::cmd {
namespace {

const std::vector<Column> kStatusColumns{
    {"cluster", "cluster_name"}, {"node", "node"}, {"version", "version"},   {"role", "role"},
    {"leader", "leader"},        {"term", "term"}, {"revision", "revision"}, {"contact", "contact_ms"}};

core::Result<void> status(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    TRY_ASSIGN(core::Json answer, client->get("/smack/v1/status"));
    context.output.record(answer, kStatusColumns);
    if (context.output.json()) return {};
    context.output.table("servers", answer["servers"],
                         {{"ID", "id"}, {"ADDRESS", "address"}, {"ROLE", "role"}}, "No servers.");
    for (const core::Json& alarm : answer["alarms"].as_array()) {
        context.output.say(
            std::format("ALARM {}: {}", cell_text(alarm["name"]), cell_text(alarm["message"])));
    }
    return {};
}

core::Result<void> doctor(Context& context) {
    std::vector<Finding> findings = examine(context.arguments);
    core::Json rows = core::Json::array();
    for (const Finding& finding : findings) {
        core::Json row;
        row.set("check", finding.check)
            .set("result", verdict_name(finding.verdict))
            .set("message", finding.message);
        row.set("advice", finding.advice);
        rows.push(std::move(row));
        if (finding.verdict == Verdict::kFail) context.exit_code = kExitRefused;
        std::string advice = finding.advice.empty() ? "" : "\n      -> " + finding.advice;
        context.output.say(std::format("{:<5} {}: {}{}", verdict_name(finding.verdict), finding.check,
                                       finding.message, advice));
    }
    context.output.document(core::Json::object().set("findings", std::move(rows)));
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
         "checks clock, Kerberos, keytab, permissions, disk and ports, and says what to do",
         "smackd doctor",
         {},
         with_server_options(),
         doctor},
    };
}

}  // namespace smackd::cmd
