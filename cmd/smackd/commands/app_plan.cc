#include "cmd/smackd/commands/app_plan.h"

#include <algorithm>
#include <format>

#include "cmd/smackd/client/api_client.h"
#include "cmd/smackd/commands/app_files.h"

namespace smackd::cmd {
namespace {

using core::Json;

std::string_view effect_text(std::string_view effect) {
    if (effect == "create") return "is new";
    if (effect == "restart") return "changes, and its tasks are replaced";
    if (effect == "scale") return "changes how many tasks it has; those that stay are not touched";
    if (effect == "describe") return "changes; its tasks are not touched";
    return "does not change";
}

/// "+ /env/A  "x"", "- /cmd  "x"" or "~ /cmd  "x" -> "y"".
std::string change_line(const Json& change) {
    const Json& before = change["old"];
    const Json& after = change["new"];
    const std::string_view note = change["restarts"].as_bool() ? "  (replaces tasks)" : "";
    const std::string& path = change["path"].as_string();
    if (before.is_null()) return std::format("  + {}  {}{}\n", path, after.dump(), note);
    if (after.is_null()) return std::format("  - {}  {}{}\n", path, before.dump(), note);
    return std::format("  ~ {}  {} -> {}{}\n", path, before.dump(), after.dump(), note);
}

std::string tasks_line(const Json& plan) {
    const Json& tasks = plan["tasks"];
    const int64_t kept = tasks["kept"].as_integer();
    const int64_t started = tasks["started"].as_integer();
    const int64_t missing = std::max<int64_t>(0, tasks["wanted"].as_integer() - kept - started);
    std::string text =
        std::format("tasks: {} wanted; {} stay, {} start, {} end", tasks["wanted"].as_integer(), kept,
                    started, tasks["stopped"].as_integer());
    if (missing > 0) text += std::format(", {} would wait", missing);
    return text + "\n";
}

std::string nodes_table(const Json& nodes) {
    std::vector<std::vector<std::string>> rows{{"NODE", "NOW", "THEN"}};
    for (const Json& node : nodes.as_array())
        rows.push_back({node["host"].as_string(), cell_text(node["now"]), cell_text(node["then"])});
    return rows.size() == 1 ? "" : format_table(rows);
}

std::string waiting_text(const Json& waiting) {
    if (!waiting.is_object()) return "";
    std::string text =
        std::format("{} would wait: {}\n", waiting["count"].as_integer(), waiting["reason"].as_string());
    std::vector<std::vector<std::string>> rows{{"NODE", "REASON", ""}};
    for (const Json& node : waiting["nodes"].as_array())
        rows.push_back({node["host"].as_string(), node["reason"].as_string(), node["text"].as_string()});
    return rows.size() == 1 ? text : text + format_table(rows);
}

}  // namespace

std::string plan_text(const Json& plan) {
    std::string text =
        std::format("{} {}\n", plan["app"].as_string(), effect_text(plan["effect"].as_string()));
    for (const Json& change : plan["changes"].as_array()) text += change_line(change);
    text += tasks_line(plan) + nodes_table(plan["nodes"]) + waiting_text(plan["waiting"]);
    if (!plan["complete"].as_bool(true))
        text += "note: not foreseen to the end: the deployment has too many steps\n";
    for (const Json& warning : plan["warnings"].as_array())
        text += std::format("note: {}\n", warning.as_string());
    return text;
}

core::Result<void> app_plan(Context& context) {
    TRY_ASSIGN(Json definition, read_definition(context.arguments.value("FILE")));
    if (context.arguments.has("--id")) {
        const std::string id = context.arguments.value("--id");
        if (!definition.is_object()) return core::fail(core::Errc::kInvalid, "FILE: must be a JSON object");
        definition.set("id", id);
    }
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    const std::string target =
        context.arguments.has("--force") ? "/smack/v1/apps/plan?force=true" : "/smack/v1/apps/plan";
    TRY_ASSIGN(const Json plan, client->call("POST", target, std::move(definition)));
    if (!context.output.json()) print(plan_text(plan));
    context.output.document(plan);
    if (context.arguments.has("--exit-code") && plan["effect"].as_string() != "none")
        context.exit_code = kExitChanges;
    return {};
}

}  // namespace smackd::cmd
