#include <format>

#include "cmd/smackd/commands/commands.h"
#include "cmd/smackd/commands/requests.h"
#include "core/ids.h"

namespace smackd::cmd {
namespace {

const std::vector<Column> kAuditColumns{
    {"REVISION", "revision"}, {"TIME", "time"}, {"ACTOR", "actor"}, {"DOOR", "door"}, {"WHAT", "summary"}};

std::string join(const std::vector<std::string>& words) {
    std::string out;
    for (const std::string& word : words) out += (out.empty() ? "" : " ") + word;
    return out;
}

// Rows of arrays with the column names beside them, as /sql answers.
core::Result<void> print_rows(Context& context, const core::Json& answer) {
    if (context.output.json()) {
        context.output.document(answer);
        return {};
    }
    std::vector<std::vector<std::string>> lines(1);
    for (const core::Json& column : answer["columns"].as_array()) lines.front().push_back(cell_text(column));
    for (const core::Json& row : answer["rows"].as_array()) {
        auto& line = lines.emplace_back();
        for (const core::Json& value : row.as_array()) line.push_back(cell_text(value));
    }
    print(format_table(lines));
    if (answer["truncated"].as_bool()) context.output.say("(more rows than the limit; the rest is left out)");
    return {};
}

core::Result<void> sql(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    core::Json body = core::Json::object();
    body.set("query", join(context.arguments.all("QUERY")));
    if (context.arguments.has("--consistent")) body.set("consistent", true);
    TRY_ASSIGN(core::Json answer, client->call("POST", "/smack/v1/sql", std::move(body)));
    return print_rows(context, answer);
}

void print_event(Context& context, const ServerEvent& event) {
    if (context.output.json()) return print(event.data + "\n");
    auto parsed = core::Json::parse(event.data);
    const core::Json change = parsed ? std::move(*parsed) : core::Json();
    print(std::format("{}  {} {} {}{}\n", event.id, cell_text(change["actor"]), cell_text(change["kind"]),
                      cell_text(change["key"]), change["removed"].as_bool() ? " removed" : ""));
}

core::Result<void> events(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    std::string since = context.arguments.value("--since");
    if (!since.empty()) {
        auto revision = core::Revision::parse(since);
        if (!revision) return context.usage("--since: " + revision.error().message);
    }
    std::string target = "/smack/v1/events";
    bool follow = context.arguments.has("--follow");
    if (!follow) target += "?follow=false";
    return client->follow(target, since, [&context, follow](const ServerEvent& event) {
        if (event.name == "reset" || event.name == "end") return follow;
        print_event(context, event);
        return true;
    });
}

// For people: time_ms as a date.
core::Json with_times(const core::Json& rows) {
    core::Json out = core::Json::array();
    for (core::Json row : rows.as_array()) {
        if (const core::Json* time = row.find("time_ms")) {
            row.set("time", date_text(time->as_integer()));
        }
        out.push(std::move(row));
    }
    return out;
}

core::Result<void> list_page(Context& context, std::string_view what, const std::vector<Column>& columns,
                             std::string_view when_empty) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    std::string limit = context.arguments.value("--limit", "100");
    TRY_ASSIGN(core::Json answer,
               client->get(std::format("/smack/v1/{}?limit={}", what, net::http::percent_encode(limit))));
    context.output.table(what, context.output.json() ? answer[what] : with_times(answer[what]), columns,
                         when_empty);
    return {};
}

core::Result<void> audit(Context& context) {
    return list_page(context, "audit", kAuditColumns, "No changes yet.");
}

core::Result<void> refusals(Context& context) {
    return list_page(context, "refusals",
                     {{"TIME", "time"},
                      {"REASON", "reason"},
                      {"PRINCIPAL", "principal"},
                      {"SOURCE", "source"},
                      {"REQUEST", "request"},
                      {"MESSAGE", "message"}},
                     "Nobody was refused.");
}

}  // namespace

std::vector<Command> state_commands() {
    const Option limit{"--limit", "N", "at most so many, newest first (default 100)"};
    return {
        {"sql",
         "asks the replicated state (read only)",
         "smackd sql \"SELECT name FROM users\"",
         {{"QUERY", "one SELECT statement", true, true}},
         with_server_options({{"--consistent", "", "as of now, not of a moment ago"}}),
         sql},
        {"events",
         "shows the changes of the state",
         "smackd events --since 1.10 --follow",
         {},
         with_server_options(
             {{"--since", "EPOCH.REVISION", "begin after this one (default: the oldest kept)"},
              {"--follow", "", "go on with new ones"}}),
         events},
        {"audit",
         "shows who changed what",
         "smackd audit --limit 20",
         {},
         with_server_options({limit}),
         audit},
        {"refusals",
         "shows who was refused by this server, and why",
         "smackd refusals",
         {},
         with_server_options({limit}),
         refusals},
    };
}

}  // namespace smackd::cmd
