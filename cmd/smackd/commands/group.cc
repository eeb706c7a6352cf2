#include <algorithm>
#include <format>

#include "cmd/smackd/commands/commands.h"
#include "cmd/smackd/commands/requests.h"

namespace smackd::cmd {
namespace {

const std::vector<Column> kGroupColumns{
    {"NAME", "name"}, {"MEMBERS", "members"}, {"DESCRIPTION", "description"}};
const std::vector<Column> kMappedColumns{{"SID", "sid"}, {"GROUP", "group"}, {"NOTE", "note"}};
const Positional kName{"NAME", "the group's name"};
const Positional kSid{"SID", "of the directory's group: S-1-5-21-..."};

// The group as it is, or nothing when there is none.
core::Result<std::optional<core::Json>> find_group(ApiClient& client, const std::string& name) {
    auto found = client.get(resource("groups", name));
    if (found) return std::optional<core::Json>(std::move(*found));
    if (found.error().code == core::Errc::kNotFound) return std::optional<core::Json>();
    return core::pass(std::move(found));
}

core::Json merge_members(const core::Json& before, const core::Json& added, const core::Json& removed) {
    core::Json members = core::Json::array();
    const auto& gone = removed.as_array();
    for (const core::Json* list : {&before, &added}) {
        for (const core::Json& member : list->as_array()) {
            if (std::ranges::find(gone, member) == gone.end() &&
                std::ranges::find(members.as_array(), member) == members.as_array().end()) {
                members.push(member);
            }
        }
    }
    return members;
}

core::Result<void> put_group(Context& context, const core::Json& added, const core::Json& removed,
                             bool must_exist) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    std::string name = context.arguments.value("NAME");
    TRY_ASSIGN(std::optional<core::Json> before, find_group(*client, name));
    if (!before && must_exist) return core::fail(core::Errc::kNotFound, "no group '{}'", name);
    core::Json group = before.value_or(core::Json::object());
    core::Json body = core::Json::object();
    body.set("description", context.arguments.value("--description", group["description"].as_string()));
    body.set("members", merge_members(group["members"], added, removed));
    TRY_ASSIGN(core::Json answer, client->call("PUT", resource("groups", name), std::move(body)));
    context.output.say(std::format("{} group {}.", before ? "Changed" : "Added", name));
    context.output.document(answer);
    return {};
}

core::Result<void> group_add(Context& context) {
    return put_group(context, list_of(context.arguments.all("USER")), core::Json::array(), false);
}

core::Result<void> group_list(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    TRY_ASSIGN(core::Json answer, client->get("/smack/v1/groups"));
    context.output.table("groups", answer["groups"], kGroupColumns, "No groups.");
    return {};
}

core::Result<void> group_show(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    TRY_ASSIGN(core::Json answer, client->get(resource("groups", context.arguments.value("NAME"))));
    context.output.record(answer, kGroupColumns);
    return {};
}

core::Result<void> group_remove(Context& context) {
    if (context.arguments.has("USER")) {
        return put_group(context, core::Json::array(), list_of(context.arguments.all("USER")), true);
    }
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    std::string name = context.arguments.value("NAME");
    TRY(client->call("DELETE", resource("groups", name), std::nullopt));
    context.output.say(std::format("Removed group {}.", name));
    context.output.document(core::Json::object().set("removed", name));
    return {};
}

core::Result<void> group_map(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    const std::string sid = context.arguments.value("SID");
    core::Json body = core::Json::object();
    body.set("group", context.arguments.value("NAME")).set("note", context.arguments.value("--note"));
    TRY_ASSIGN(core::Json answer, client->call("PUT", resource("directory-groups", sid), std::move(body)));
    context.output.say(
        std::format("Members of {} are in group {} from their next sign-in with a new ticket on.", sid,
                    context.arguments.value("NAME")));
    context.output.document(answer);
    return {};
}

core::Result<void> group_unmap(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    const std::string sid = context.arguments.value("SID");
    TRY(client->call("DELETE", resource("directory-groups", sid), std::nullopt));
    context.output.say(std::format("{} means nothing here any more.", sid));
    context.output.document(core::Json::object().set("removed", sid));
    return {};
}

core::Result<void> group_mapped(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    TRY_ASSIGN(core::Json answer, client->get("/smack/v1/directory-groups"));
    context.output.table("directory_groups", answer["directory_groups"], kMappedColumns,
                         "No group of a directory is mapped.");
    return {};
}

}  // namespace

std::vector<Command> group_commands() {
    return {
        {"group add",
         "adds a group, or members to it",
         "smackd group add ops alice bob",
         {kName, {"USER", "who becomes a member", false, true}},
         with_server_options({{"--description", "TEXT", "what the group is for"}}),
         group_add},
        {"group list", "lists the groups", "smackd group list", {}, with_server_options(), group_list},
        {"group show", "shows a group", "smackd group show ops", {kName}, with_server_options(), group_show},
        {"group remove",
         "removes members from a group, or without members the group",
         "smackd group remove ops bob",
         {kName, {"USER", "who is no longer a member", false, true}},
         with_server_options(),
         group_remove},
        {"group map",
         "takes the members of a group in Active Directory into this group",
         "smackd group map ops S-1-5-21-1004336348-1177238915-682003330-1104 --note smack-ops",
         {kName, kSid},
         with_server_options({{"--note", "TEXT", "the directory's own name of it, for people"}}),
         group_map},
        {"group unmap",
         "forgets a group of the directory; who was in by it is out at once",
         "smackd group unmap S-1-5-21-1004336348-1177238915-682003330-1104",
         {kSid},
         with_server_options(),
         group_unmap},
        {"group mapped",
         "lists the directory's groups that mean something here",
         "smackd group mapped",
         {},
         with_server_options(),
         group_mapped},
    };
}

}  // namespace smackd::cmd
