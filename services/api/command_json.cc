#include "services/api/command_json.h"

#include <algorithm>
#include <array>
#include <limits>
#include <string>
#include <vector>

#include "core/names.h"
#include "core/planted.h"
#include "core/policy.h"
#include "core/sid.h"
#include "services/api/fields.h"

namespace smackd::services {

using core::Errc;
using core::fail;
using core::Json;
using core::Result;

namespace {

constexpr std::array<std::string_view, 3> kRoles = {"server", "agent", "public"};

Result<void> same_name(std::string_view field, std::string_view from_path, const std::string& from_body) {
    if (from_body.empty() || from_body == from_path) return {};
    return fail(Errc::kInvalid, "{} '{}': the address names '{}'", field, from_body.substr(0, 64), from_path);
}

std::vector<std::string> sorted_unique(std::vector<std::string> values) {
    std::ranges::sort(values);
    const auto repeated = std::ranges::unique(values);
    values.erase(repeated.begin(), repeated.end());
    return values;
}

Result<wire::MachineState> parse_state(std::string_view text) {
    if (text == "allowed") return wire::MACHINE_ALLOWED;
    if (text == "suspended") return wire::MACHINE_SUSPENDED;
    return fail(Errc::kInvalid, "state '{}': must be allowed or suspended", text.substr(0, 64));
}

}  // namespace

Result<wire::PutUser> user_from_json(std::string_view name, const Json& body) {
    Fields fields(body);
    const std::string named = fields.text("name");
    wire::PutUser user;
    user.set_name(std::string(name));
    user.set_full_name(fields.text("full_name"));
    user.set_disabled(fields.boolean("disabled"));
    TRY(fields.finish());
    TRY(core::check_user_name(name));
    TRY(same_name("name", name, named));
    TRY(core::check_text("full_name", user.full_name(), kTextBytesMax));
    return user;
}

Result<wire::PutGroup> group_from_json(std::string_view name, const Json& body) {
    Fields fields(body);
    const std::string named = fields.text("name");
    wire::PutGroup group;
    group.set_name(std::string(name));
    group.set_description(fields.text("description"));
    const auto members = sorted_unique(fields.texts("members"));
    TRY(fields.finish());
    if (!SMACK_BUG("fuzz_api_body")) TRY(core::check_group_name(name));
    TRY(same_name("name", name, named));
    TRY(core::check_text("description", group.description(), kTextBytesMax));
    for (const std::string& member : members) {
        if (auto valid = core::check_user_name(member); !valid)
            return core::pass(std::move(valid), "members");
        group.add_members(member);
    }
    return group;
}

Result<wire::PutDirectoryGroup> directory_group_from_json(std::string_view sid, const Json& body) {
    Fields fields(body);
    const std::string named = fields.text("sid");
    wire::PutDirectoryGroup group;
    group.set_sid(std::string(sid));
    group.set_group(fields.required_text("group"));
    group.set_note(fields.text("note"));
    TRY(fields.finish());
    TRY(core::check_sid("sid", sid));
    TRY(same_name("sid", sid, named));
    TRY(core::check_group_name(group.group()));
    TRY(core::check_text("note", group.note(), kTextBytesMax));
    return group;
}

Result<wire::PutMachine> machine_from_json(std::string_view name, const Json& body) {
    Fields fields(body);
    const std::string named = fields.text("name");
    wire::PutMachine machine;
    machine.set_name(std::string(name));
    const auto roles = sorted_unique(fields.texts("roles"));
    const auto attributes = fields.text_map("attributes");
    const std::string state = fields.text("state", "allowed");
    machine.set_generation(
        static_cast<uint64_t>(fields.integer("generation", 0, 0, std::numeric_limits<int64_t>::max())));
    TRY(fields.finish());
    TRY(core::check_machine_name(name));
    TRY(same_name("name", name, named));
    TRY_ASSIGN(const wire::MachineState parsed, parse_state(state));
    machine.set_state(parsed);
    for (const std::string& role : roles) {
        if (!std::ranges::contains(kRoles, role)) {
            return fail(Errc::kInvalid, "roles: '{}' must be one of server, agent, public",
                        role.substr(0, 64));
        }
        machine.add_roles(role);
    }
    for (const auto& [key, value] : attributes) {
        TRY(core::check_key("attributes", key));
        TRY(core::check_text("attributes", value, storage::state::kAttributeBytesMax));
        (*machine.mutable_attributes())[key] = value;
    }
    return machine;
}

Result<wire::DrainNode> drain_from_json(const Json& body) {
    constexpr int64_t kSecondsMax = storage::state::kDrainMsMax / 1000;
    Fields fields(body);
    wire::DrainNode drain;
    drain.set_start_ms(fields.integer("start_ms", 0, 0, std::numeric_limits<int64_t>::max()));
    drain.set_deadline_ms(fields.integer("deadline_s", 0, 0, kSecondsMax) * 1000);
    drain.set_length_ms(fields.integer("length_s", 0, 0, kSecondsMax) * 1000);
    drain.set_note(fields.text("note"));
    TRY(fields.finish());
    TRY(core::check_text("note", drain.note(), storage::state::kTextBytesMax));
    return drain;
}

Result<wire::PutRule> rule_from_json(std::string_view id, const Json& body) {
    Fields fields(body);
    const std::string named = fields.text("id");
    core::Rule rule;
    rule.id = std::string(id);
    rule.subject = fields.required_text("subject");
    const auto actions = fields.texts("actions");
    rule.tenant = fields.text("tenant", "*");
    rule.path = fields.text("path", "/");
    // "/team/*" is another way to write "/team": a rule covers what is below its path.
    if (rule.path.ends_with("/*")) rule.path.resize(std::max<size_t>(1, rule.path.size() - 2));
    TRY(fields.finish());
    TRY(same_name("id", id, named));
    if (id.contains('/'))
        return fail(Errc::kInvalid, "rule id '{}': '/' would break its address", id.substr(0, 64));
    wire::PutRule put;
    for (const std::string& text : actions) {
        TRY_ASSIGN(const core::Action action, core::parse_action(text));
        if ((rule.actions & static_cast<uint8_t>(action)) != 0) continue;
        rule.actions = static_cast<uint8_t>(rule.actions | static_cast<uint8_t>(action));
        put.add_actions(text);
    }
    TRY(rule.check());
    put.set_id(rule.id);
    put.set_subject(rule.subject);
    put.set_tenant(rule.tenant);
    put.set_path(rule.path);
    return put;
}

}  // namespace smackd::services
