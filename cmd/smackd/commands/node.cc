#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <format>

#include "cmd/smackd/commands/commands.h"
#include "cmd/smackd/commands/node_ssh.h"
#include "cmd/smackd/commands/requests.h"
#include "core/duration_text.h"
#include "net/system_clock.h"

namespace smackd::cmd {
namespace {

const std::vector<Column> kNodeColumns{{"ID", "id"},
                                       {"MACHINE", "machine"},
                                       {"ROLES", "roles"},
                                       {"ADDRESS", "address"},
                                       {"LIVENESS", "liveness"},
                                       {"TASKS", "tasks"},
                                       {"DRAIN", "drain_text"},
                                       {"SOFTWARE", "software"}};
constexpr useconds_t kLookUs = 500'000;
constexpr int64_t kWaitDefaultS = 600;

const Positional kNode{"NODE", "its number or its machine's name, of node list"};
const Option kDeadline{"--deadline", "DURATION", "kill what is still there then, as 30m (never)"};
const Option kIn{"--in", "DURATION", "begin so much later, as 2h (now)"};
const Option kFor{"--for", "DURATION",
                  "a maintenance window: end by itself after so long (until node undrain)"};
const Option kNote{"--note", "TEXT", "why; node list shows it"};
const Option kPercent{"--percent", "NUMBER", "hold when more of the nodes are lost at once, 1 to 100 (34)"};
const Option kDetach{"--detach", "", "does not wait until the node is empty"};
const Option kTimeout{"--timeout", "DURATION", "how long to wait for it (10m); the drain goes on"};

/// What the column says of a node's drain.
std::string drain_text(const core::Json& node) {
    const core::Json& drain = node["drain"];
    if (!drain.is_object()) return "-";
    const int64_t since_ms = net::SystemClock().wall().unix_ms - drain["start_ms"].as_integer();
    const int64_t length_ms = drain["length_s"].as_integer() * 1000;
    if (since_ms < 0) return std::format("in {}", core::format_duration(core::milliseconds(-since_ms)));
    if (length_ms != 0 && since_ms >= length_ms) return "over";
    const std::string note = drain["note"].as_string();
    const std::string_view state = node["tasks"].as_integer() == 0 ? "drained" : "draining";
    return note.empty() ? std::string(state) : std::format("{} ({})", state, note);
}

/// The node of this number, or the one of this machine.
core::Result<core::Json> find_node(ApiClient& client, const std::string& wanted) {
    TRY_ASSIGN(core::Json answer, client.get("/smack/v1/nodes"));
    for (const core::Json& node : answer["nodes"].as_array()) {
        if (node["id"].as_string() == wanted || node["machine"].as_string() == wanted) return node;
    }
    return core::fail(core::Errc::kNotFound, "no node '{}'; see: smackd node list", wanted.substr(0, 64));
}

core::Result<void> node_list(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    TRY_ASSIGN(core::Json answer, client->get("/smack/v1/nodes"));
    core::Json nodes = core::Json::array();
    for (core::Json node : answer["nodes"].as_array()) {
        node.set("drain_text", drain_text(node));
        nodes.push(std::move(node));
    }
    context.output.table("nodes", nodes, kNodeColumns, "No nodes.");
    return {};
}

core::Result<void> node_remove(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    TRY_ASSIGN(const core::Json node, find_node(*client, context.arguments.value("NODE")));
    const std::string id = node["id"].as_string();
    TRY(client->call("DELETE", resource("nodes", id), std::nullopt));
    context.output.say(
        std::format("Removed node {} ({}); its machine may join again.", id, node["machine"].as_string()));
    context.output.document(core::Json::object().set("removed", id));
    return {};
}

core::Result<void> node_hold(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    if (context.arguments.has(kPercent.name)) {
        const std::string text = context.arguments.value(kPercent.name);
        int64_t percent = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), percent);
        if (error != std::errc() || end != text.data() + text.size())
            return core::fail(core::Errc::kInvalid, "--percent '{}': must be a whole number from 1 to 100",
                              text.substr(0, 64));
        TRY(client->call("PUT", "/smack/v1/hold", core::Json::object().set("percent", percent)));
    }
    TRY_ASSIGN(const core::Json hold, client->get("/smack/v1/hold"));
    const int64_t unreachable = hold["unreachable"].as_integer();
    context.output.say(std::format(
        "{} of {} nodes are unreachable{}. Nothing is replaced when more than {} % are lost at once{}.",
        unreachable, hold["nodes"].as_integer(), unreachable > 1 ? " at once" : "",
        hold["percent"].as_integer(), hold["holds"].as_bool() ? ": that is so now" : ""));
    context.output.document(hold);
    return {};
}

core::Result<int64_t> seconds_of(const Context& context, const Option& option) {
    if (!context.arguments.has(option.name)) return 0;
    auto parsed = core::parse_duration(context.arguments.value(option.name));
    if (!parsed) return core::pass(std::move(parsed), std::string(option.name));
    return int64_t{parsed->count()};
}

/// Until no task is there; says on the way how many are.
core::Result<void> await_empty(Context& context, ApiClient& client, const std::string& id, int64_t limit_s) {
    int64_t told = -1;
    for (int64_t waited_us = 0; waited_us < limit_s * 1'000'000; waited_us += kLookUs) {
        TRY_ASSIGN(const core::Json node, find_node(client, id));
        const int64_t tasks = node["tasks"].as_integer();
        if (tasks == 0) return {};
        if (tasks != told) context.output.say(std::format("{} tasks are there", tasks));
        told = tasks;
        ::usleep(kLookUs);
    }
    return core::fail(
        core::Errc::kTimeout,
        "{} tasks are still there after {} s; the drain goes on: smackd node list says how far, "
        "smackd app explain APP why a task finds no other node",
        told, limit_s);
}

core::Result<void> node_drain(Context& context) {
    TRY_ASSIGN(const int64_t deadline_s, seconds_of(context, kDeadline));
    TRY_ASSIGN(const int64_t in_s, seconds_of(context, kIn));
    TRY_ASSIGN(const int64_t for_s, seconds_of(context, kFor));
    TRY_ASSIGN(const int64_t timeout_s, seconds_of(context, kTimeout));
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    TRY_ASSIGN(const core::Json node, find_node(*client, context.arguments.value("NODE")));
    const std::string id = node["id"].as_string();
    core::Json body;
    body.set("start_ms", in_s == 0 ? 0 : net::SystemClock().wall().unix_ms + in_s * 1000)
        .set("deadline_s", deadline_s);
    body.set("length_s", for_s).set("note", context.arguments.value(kNote.name));
    TRY_ASSIGN(const core::Json answer,
               client->call("PUT", resource("nodes", id) + "/drain", std::move(body)));
    const std::string machine = node["machine"].as_string();
    if (in_s != 0) {
        context.output.say(std::format("Node {} ({}) will be drained in {}.", id, machine,
                                       core::format_duration(core::seconds(in_s))));
    } else if (!context.arguments.has(kDetach.name)) {
        TRY(await_empty(context, *client, id, timeout_s == 0 ? kWaitDefaultS : timeout_s));
        context.output.say(std::format("Drained node {} ({}): no task is there.", id, machine));
    } else {
        context.output.say(std::format("Node {} ({}) is being drained.", id, machine));
    }
    context.output.document(answer);
    return {};
}

core::Result<void> node_undrain(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    TRY_ASSIGN(const core::Json node, find_node(*client, context.arguments.value("NODE")));
    const std::string id = node["id"].as_string();
    TRY_ASSIGN(const core::Json answer,
               client->call("DELETE", resource("nodes", id) + "/drain", std::nullopt));
    context.output.say(std::format("Node {} ({}) gets tasks again.", id, node["machine"].as_string()));
    context.output.document(answer);
    return {};
}

}  // namespace

std::vector<Command> node_commands() {
    return {
        {"node list",
         "lists the nodes of the cluster",
         "smackd node list",
         {},
         with_server_options(),
         node_list},
        {"node remove",
         "removes a node whose machine is gone for good or joins anew; its connections end at once",
         "smackd node remove n3",
         {kNode},
         with_server_options(),
         node_remove},
        {"node hold",
         "when many nodes are lost at once, nothing of them is replaced until they are back: tells whether "
         "that is so, and "
         "sets how many that takes",
         "smackd node hold --percent 50",
         {},
         with_server_options({kPercent}),
         node_hold},
        {"node drain",
         "moves a node's tasks elsewhere, as fast as each app's upgrade strategy allows, and gives it no new "
         "ones",
         "smackd node drain n3 --deadline 30m --note 'new disk'",
         {kNode},
         with_server_options({kDeadline, kIn, kFor, kNote, kDetach, kTimeout}),
         node_drain},
        {"node ssh", "opens a shell on a node, by this machine's ssh client",
         "smackd node ssh --leader -- uptime", node_ssh_positionals(),
         with_server_options(node_ssh_options()), node_ssh},
        {"node undrain",
         "ends a drain or a maintenance window: the node gets tasks again",
         "smackd node undrain n3",
         {kNode},
         with_server_options(),
         node_undrain},
    };
}

}  // namespace smackd::cmd
