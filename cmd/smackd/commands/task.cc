// smackd task ... and smackd dns ...: what runs, what it wrote, and names besides.
#include <format>

#include "cmd/smackd/commands/commands.h"
#include "cmd/smackd/commands/requests.h"
#include "cmd/smackd/commands/task_exec.h"
#include "net/http/message.h"

namespace smackd::cmd {
namespace {

using core::Json;

const Positional kName{"NAME", "a DNS name"};

core::Result<void> task_list(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    TRY_ASSIGN(const Json answer, client->get("/v2/tasks"));
    context.output.table("tasks", answer["tasks"],
                         {{"ID", "id"},
                          {"APP", "appId"},
                          {"STATE", "state"},
                          {"HOST", "host"},
                          {"PORTS", "ports"},
                          {"STARTED", "startedAt"}},
                         "No tasks.");
    return {};
}

core::Result<void> task_log(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    const std::string stream = context.arguments.has("--stderr") ? "stderr" : "stdout";
    TRY_ASSIGN(const std::string task, meant_task(*client, context.arguments.value("TASK")));
    const std::string base =
        std::format("/smack/v1/tasks/{}/log/{}", net::http::percent_encode(task), stream);
    uint64_t offset = 0;
    while (true) {
        const bool follow = context.arguments.has("--follow");
        TRY_ASSIGN(const Json piece,
                   client->get(std::format("{}?offset={}{}", base, offset, follow ? "&wait=true" : "")));
        const std::string& text = piece["text"].as_string();
        const auto next = static_cast<uint64_t>(piece["next"].as_integer());
        if (context.output.json())
            context.output.document(piece);
        else
            print(text);
        if (next == offset && !follow) return {};
        if (piece["ended"].as_bool() && next == offset) return {};
        offset = next;
    }
}

core::Result<void> task_kill(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    Json ids = Json::array();
    for (const std::string& id : context.arguments.all("TASK")) ids.push(id);
    Json body;
    body.set("ids", std::move(ids));
    const std::string target =
        context.arguments.has("--scale") ? "/v2/tasks/delete?scale=true" : "/v2/tasks/delete";
    TRY_ASSIGN(const Json answer, client->call("POST", target, std::move(body)));
    context.output.say("Ending.");
    context.output.document(answer);
    return {};
}

core::Result<void> dns_add(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    const std::string name = context.arguments.value("NAME");
    Json body;
    body.set("addresses", list_of(context.arguments.all("ADDRESS")));
    TRY_ASSIGN(const Json answer,
               client->call("PUT", "/smack/v1/dns/" + net::http::percent_encode(name), std::move(body)));
    context.output.say(std::format("{} is answered.", name));
    context.output.document(answer);
    return {};
}

core::Result<void> dns_list(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    TRY_ASSIGN(const Json answer, client->get("/smack/v1/dns"));
    context.output.table("names", answer["names"], {{"NAME", "name"}, {"ADDRESSES", "addresses"}},
                         "No names besides those of applications.");
    return {};
}

core::Result<void> dns_remove(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    const std::string name = context.arguments.value("NAME");
    TRY(client->call("DELETE", "/smack/v1/dns/" + net::http::percent_encode(name), std::nullopt));
    context.output.say(std::format("{} is no longer answered.", name));
    context.output.document(Json::object().set("removed", name));
    return {};
}

}  // namespace

core::Result<std::string> meant_task(ApiClient& client, const std::string& given) {
    if (!given.starts_with('/')) return given;
    TRY_ASSIGN(const Json answer, client.get("/v2/apps/" + net::http::percent_encode(given.substr(1))));
    std::string youngest;
    std::string staged;
    for (const Json& task : answer["app"]["tasks"].as_array()) {
        if (task["stagedAt"].as_string() < staged) continue;
        staged = task["stagedAt"].as_string();
        youngest = task["id"].as_string();
    }
    if (youngest.empty()) youngest = answer["app"]["lastTaskFailure"]["taskId"].as_string();
    if (youngest.empty()) return core::fail(core::Errc::kNotFound, "{} has no task, and none failed", given);
    return youngest;
}

std::vector<Command> task_commands() {
    return {
        {"task list", "lists the tasks that run", "smackd task list", {}, with_server_options(), task_list},
        {"task log",
         "prints what a task wrote",
         "smackd task log --follow /web",
         {{"TASK",
           "the task's id, or /group/app for that app's youngest task (or the one that failed last)"}},
         with_server_options(
             {{"--follow", "", "goes on as it writes more"}, {"--stderr", "", "its standard error"}}),
         task_log},
        {"task exec",
         "runs a program in a task, as in a terminal of its own",
         "smackd task exec /web -- sh -c 'echo $HOSTNAME'",
         {{"TASK", "the task's id, or /group/app for that app's youngest task"},
          {"CMD", "the program and its arguments, after --", true, true}},
         with_server_options(
             {{"--tty", "", "gives it a terminal; the default when input and output are terminals", false,
               't'},
              {"--no-tty", "", "gives it none: its two outputs stay apart"},
              {"--interactive", "", "passes standard input on; the default with a terminal", false, 'i'},
              {"--user", "USER", "as whom: a name or UID[:GID] of the task's (default: the task's user)"},
              {"--workdir", "DIR", "where: an absolute path in the task (default: the task's)"},
              {"--env", "KEY=VALUE", "a variable over the task's own", true}}),
         task_exec},
        {"task kill",
         "ends tasks; their application starts others",
         "smackd task kill web.instance-5ed4c0c5-9ff8-4a6f-a0cd-f57f59a34b43._app.1",
         {{"TASK", "the task's id", true, true}},
         with_server_options({{"--scale", "", "the application wants as many fewer"}}),
         task_kill},
        {"dns add",
         "answers a name with addresses",
         "smackd dns add p1.dcos 10.0.0.5",
         {kName, {"ADDRESS", "an IP address", true, true}},
         with_server_options(),
         dns_add},
        {"dns list",
         "lists the names that were added",
         "smackd dns list",
         {},
         with_server_options(),
         dns_list},
        {"dns remove",
         "answers a name no longer",
         "smackd dns remove p1.dcos",
         {kName},
         with_server_options(),
         dns_remove},
    };
}

}  // namespace smackd::cmd
