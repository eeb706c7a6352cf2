#include <unistd.h>

#include <format>

#include "cmd/smackd/commands/commands.h"
#include "cmd/smackd/commands/requests.h"
#include "core/units.h"
#include "net/system_clock.h"

namespace smackd::cmd {
namespace {

using core::Json;

const std::vector<Column> kColumns{{"NODE", "id"},
                                   {"MACHINE", "machine"},
                                   {"LIVENESS", "liveness"},
                                   {"CPU", "cpu_text"},
                                   {"MEMORY", "memory_text"},
                                   {"TASKS", "tasks"},
                                   {"RESERVED CPUS", "reserved_cpus"},
                                   {"RESERVED MEMORY", "reserved_memory"}};
const Option kOnce{"--once", "", "prints one table and ends, as it does without a terminal"};
constexpr useconds_t kEveryUs = 2'000'000;
constexpr int64_t kRecentMs = 10'000;  // a sample that is older says nothing of now
constexpr std::string_view kClear = "\x1b[H\x1b[J";

std::string gib(int64_t bytes) {
    return std::format("{:.1f}", static_cast<double>(bytes) / static_cast<double>(core::kGiB));
}

/// "3.1 of 7.8 GiB"
std::string part_text(int64_t used, int64_t total) {
    return std::format("{} of {} GiB", gib(used), gib(total));
}

/// The node with its newest sample, and both as text.
Json with_usage(Json node, const Json& usage) {
    const auto& samples = usage["samples"].as_array();
    if (usage["measured"].as_bool() && !samples.empty()) {
        const Json& last = samples.back();
        node.set("usage", last);
        node.set("cpu_text", std::format("{:.0f} %", 100 * last["cpu_share"].as_number()));
        node.set("memory_text",
                 part_text(last["memory_used_bytes"].as_integer(), last["memory_total_bytes"].as_integer()));
    }
    const Json& total = node["capacity"];
    const Json& reserved = node["reserved"];
    if (total.is_object() && reserved.is_object()) {
        node.set("reserved_cpus",
                 std::format("{:.1f} of {:.1f}", reserved["cpus"].as_number(), total["cpus"].as_number()));
        node.set("reserved_memory",
                 part_text(reserved["memory_bytes"].as_integer(), total["memory_bytes"].as_integer()));
    }
    return node;
}

core::Result<Json> look(ApiClient& client) {
    TRY_ASSIGN(const Json answer, client.get("/smack/v1/nodes"));
    Json nodes = Json::array();
    for (const Json& node : answer["nodes"].as_array()) {
        TRY_ASSIGN(const Json usage,
                   client.get(std::format("{}/usage?since={}", resource("nodes", node["id"].as_string()),
                                          net::SystemClock().wall().unix_ms - kRecentMs)));
        nodes.push(with_usage(node, usage));
    }
    return nodes;
}

core::Result<void> top(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    const bool goes_on =
        !context.output.json() && !context.arguments.has(kOnce.name) && ::isatty(STDOUT_FILENO) == 1;
    while (true) {
        TRY_ASSIGN(const Json nodes, look(*client));
        if (goes_on) print(kClear);
        context.output.table("nodes", nodes, kColumns, "No nodes.");
        if (!goes_on) return {};
        ::usleep(kEveryUs);
    }
}

}  // namespace

std::vector<Command> top_commands() {
    return {
        {"top",
         "shows how busy the nodes are: processors and memory as measured on each, tasks and what they "
         "reserve",
         "smackd top --once",
         {},
         with_server_options({kOnce}),
         top},
    };
}

}  // namespace smackd::cmd
