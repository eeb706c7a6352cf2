#include <format>

#include "cmd/smackd/commands/commands.h"
#include "cmd/smackd/commands/requests.h"

namespace smackd::cmd {
namespace {

const std::vector<Column> kNodeColumns{
    {"ID", "id"},           {"MACHINE", "machine"},   {"ROLES", "roles"},
    {"ADDRESS", "address"}, {"LIVENESS", "liveness"}, {"SOFTWARE", "software"}};

core::Result<void> node_list(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    TRY_ASSIGN(core::Json answer, client->get("/smack/v1/nodes"));
    context.output.table("nodes", answer["nodes"], kNodeColumns, "No nodes.");
    return {};
}

core::Result<void> node_remove(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    std::string id = context.arguments.value("ID");
    TRY(client->call("DELETE", resource("nodes", id), std::nullopt));
    context.output.say(std::format("Removed node {}; its machine may join again.", id));
    context.output.document(core::Json::object().set("removed", id));
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
         "smackd node remove 3",
         {{"ID", "the node's number, of node list"}},
         with_server_options(),
         node_remove},
    };
}

}  // namespace smackd::cmd
