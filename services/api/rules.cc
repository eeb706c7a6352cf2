// /smack/v1/rules, and the question what a rule would decide.
#include <algorithm>

#include "auth/identity.h"
#include "core/names.h"
#include "services/api/command_json.h"
#include "services/api/resource.h"
#include "storage/state/limits.h"

namespace smackd::services {
namespace {

struct Rules {
    using Put = wire::PutRule;
    static constexpr std::string_view kKind = "rule";
    static constexpr std::string_view kCollection = "rules";
    static auto all(View& view) { return view.rules(); }
    static auto one(View& view, const std::string& key) { return view.rule(key); }
    static const std::string& key(const Put& row) { return row.id(); }
    static auto from_json(std::string_view key, const core::Json& body) { return rule_from_json(key, body); }
    static void put(wire::Command& command, Put row) {
        if (std::ranges::contains(row.actions(), core::action_name(core::Action::kHost)))
            command.set_feature_level(storage::state::kLevelOfNames);
        if (core::is_of_tasks(row.subject())) command.set_feature_level(storage::state::kLevelOfTaskActors);
        *command.add_changes()->mutable_put_rule() = std::move(row);
    }
    static void remove(wire::Command& command, const std::string& key) {
        command.add_changes()->mutable_remove_rule()->set_id(key);
    }
};

core::Json decision(const PolicyView& policy, const core::Subject& subject, const core::Request& request) {
    core::Json json;
    const core::Rule* grant = policy.find_grant(subject, request);
    json.set("allowed", grant != nullptr);
    if (grant != nullptr) {
        json.set("rule", grant->id);
    } else {
        json.set("message", policy.authorize(subject, request).error().message);
    }
    return json;
}

}  // namespace

namespace handlers {

Answer list_rules(Call& call) {
    return list_rows<Rules>(call);
}
Answer show_rule(Call& call) {
    return show_row<Rules>(call);
}
Answer create_rule(Call& call) {
    return create_row<Rules>(call, "id");
}
Answer put_rule(Call& call) {
    return put_row<Rules>(call);
}
Answer remove_rule(Call& call) {
    return remove_row<Rules>(call);
}

// Anybody may ask about themselves; to ask about others takes `view` on everything.
Answer check_policy(Call& call) {
    const std::string user(call.request.query("user").value_or(call.subject().user));
    if (user != call.subject().user) CO_TRY(call.require(core::Action::kView));
    core::Request request;
    CO_TRY_ASSIGN(request.action, core::parse_action(call.request.query("action").value_or("view")));
    request.tenant = call.request.query("tenant").value_or("*");
    request.path = call.request.query("path").value_or("/");
    CO_TRY(core::check_path(request.path));
    const std::string principal = auth::user_principal(user, call.view->cluster.realm());
    core::Json json;
    auto admitted = call.view->policy.admit(user, principal);
    if (admitted) {
        json = decision(call.view->policy, *admitted, request);
    } else {
        json.set("allowed", false).set("message", admitted.error().message);
    }
    co_return json_reply(200, json);
}

}  // namespace handlers
}  // namespace smackd::services
