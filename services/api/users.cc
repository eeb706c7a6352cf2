// /smack/v1/users: the user's row, and with the embedded realm the user's principal.
#include "auth/sealing.h"
#include "services/api/command_json.h"
#include "services/api/fields.h"
#include "services/api/principals.h"
#include "services/api/resource.h"

namespace smackd::services {
namespace {

using core::Errc;
using core::fail;
using core::Json;
using core::Result;
using net::Task;

struct Users {
    using Put = wire::PutUser;
    static constexpr std::string_view kKind = "user";
    static constexpr std::string_view kCollection = "users";
    static auto all(View& view) { return view.users(); }
    static auto one(View& view, const std::string& key) { return view.user(key); }
    static const std::string& key(const Put& row) { return row.name(); }
};

Json with_groups(const Call& call, Json json) {
    Json groups = Json::array();
    for (std::string& group : call.view->policy.groups_of(json["name"].as_string()))
        groups.push(std::move(group));
    json.set("groups", std::move(groups));
    return json;
}

/// Takes `name` out of the object; empty when it is not there.
Json take_member(Json& object, std::string_view name) {
    Json::Object rest;
    Json taken;
    for (const auto& [key, value] : object.as_object()) {
        if (key == name) {
            taken = value;
        } else {
            rest.emplace_back(key, value);
        }
    }
    object = Json(std::move(rest));
    return taken;
}

/// The principal of a new user: of the password, or of a random key (sign-in by keytab) without one.
Task<Result<void>> add_principal(Call& call, wire::Command& command, std::string name, std::string password) {
    if (call.api.environment.realm == nullptr) {
        if (password.empty()) co_return Result<void>();
        co_return require_embedded_realm(call, "set the password there");
    }
    auto made = co_await in_realm(call, [&](RealmDoor& realm) {
        return password.empty() ? realm.with_random_key(name) : realm.with_password(name, password);
    });
    auth::wipe(password);
    if (!made) co_return core::pass(std::move(made));
    // Nobody's keys are replaced by adding a user of that name.
    wire::Expect* absent = command.add_expected();
    absent->set_kind("principal");
    absent->set_key(made->name());
    add_put(command, std::move(*made));
    co_return Result<void>();
}

/// Disables or enables the user's principal with the user, so that the KDC says no as well.
Task<Result<void>> follow_disabled(Call& call, wire::Command& command, std::string name, bool disabled) {
    const std::string principal = full_principal(call, name);
    if (disabled) add_token_revocation(call, command, principal);
    if (call.api.environment.realm == nullptr) co_return Result<void>();
    CO_TRY_ASSIGN(const auto existing, co_await find_principals(call, {principal}));
    if (existing.empty()) co_return Result<void>();
    auto changed = co_await in_realm(call, [&](RealmDoor& realm) {
        return realm.set_disabled(existing.front().name(), existing.front().record(), disabled);
    });
    if (!changed) co_return core::pass(std::move(changed));
    add_put(command, std::move(*changed));
    co_return Result<void>();
}

Task<Result<MaybeRow<wire::PutUser>>> find_user(Call& call, std::string name) {
    auto found = co_await read<MaybeRow<wire::PutUser>>(call, [name](View& view) { return view.user(name); });
    co_return found;
}

/// `before` is the row as it was, if it was.
handlers::Answer put_user_row(Call& call, wire::PutUser user, MaybeRow<wire::PutUser> before, Target target) {
    wire::Command command = make_command(call);
    *command.add_changes()->mutable_put_user() = user;
    if (!before) {
        CO_TRY(co_await add_principal(call, command, user.name(), {}));
    } else if (before->put.disabled() != user.disabled()) {
        CO_TRY(co_await follow_disabled(call, command, user.name(), user.disabled()));
    }
    CO_TRY_ASSIGN(const core::Revision revision,
                  co_await change(call, std::move(command), std::move(target)));
    co_return changed_reply(200, revision);
}

handlers::Answer set_disabled(Call& call, bool disabled) {
    CO_TRY(call.require(core::Action::kAdmin));
    CO_TRY_ASSIGN(const auto found, co_await find_user(call, call.argument()));
    if (!found) co_return fail(Errc::kNotFound, "no user '{}'", call.argument().substr(0, 64));
    wire::PutUser user = found->put;
    user.set_disabled(disabled);
    auto answer =
        co_await put_user_row(call, std::move(user), found, {.kind = "user", .key = call.argument()});
    co_return answer;
}

/// Whoever is no admin has come here for their own password, and shows that it is them by the old one.
Task<Result<void>> check_password_right(Call& call, std::string current) {
    if (call.is_admin()) co_return Result<void>();
    if (current.empty()) {
        co_return fail(Errc::kInvalid, "current_password: is required to change your own password");
    }
    const std::string& peer = call.connection.peer;
    auto proof = co_await call.api.sign_in.prove_password(call.argument(), std::move(current),
                                                          peer.substr(0, peer.rfind(':')));
    if (proof) co_return Result<void>();
    // Not 401: the caller is known, it is the field that is wrong.
    if (proof.error().error.code == Errc::kUnauthenticated) {
        co_return fail(Errc::kDenied, "current_password: {}", proof.error().error.message);
    }
    co_return std::unexpected(std::move(proof.error().error));
}

}  // namespace

namespace handlers {

Answer list_users(Call& call) {
    return list_rows<Users>(call, [&call](Json json) { return with_groups(call, std::move(json)); });
}
Answer show_user(Call& call) {
    return show_row<Users>(call, [&call](Json json) { return with_groups(call, std::move(json)); });
}

Answer create_user(Call& call) {
    CO_TRY(call.require(core::Action::kAdmin));
    CO_TRY_ASSIGN(Json body, co_await read_body(call));
    const Json password = take_member(body, "password");
    if (!password.is_null() && !password.is_string())
        co_return fail(Errc::kInvalid, "password: must be a string");
    const std::string name = body["name"].as_string();
    CO_TRY_ASSIGN(wire::PutUser user, user_from_json(name, body));
    wire::Command command = make_command(call);
    *command.add_changes()->mutable_put_user() = std::move(user);
    CO_TRY(co_await add_principal(call, command, name, password.as_string()));
    CO_TRY_ASSIGN(const core::Revision revision,
                  co_await change(call, std::move(command), {.kind = "user", .key = name, .create = true}));
    net::http::Response response = changed_reply(201, revision);
    response.headers.add("Location", "/smack/v1/users/" + name);
    co_return response;
}

Answer put_user(Call& call) {
    CO_TRY(call.require(core::Action::kAdmin));
    CO_TRY_ASSIGN(const Json body, co_await read_body(call));
    CO_TRY_ASSIGN(wire::PutUser user, user_from_json(call.argument(), body));
    CO_TRY_ASSIGN(const auto existing, co_await find_user(call, call.argument()));
    auto answer =
        co_await put_user_row(call, std::move(user), existing, {.kind = "user", .key = call.argument()});
    co_return answer;
}

Answer remove_user(Call& call) {
    CO_TRY(call.require(core::Action::kAdmin));
    const std::string principal = full_principal(call, call.argument());
    wire::Command command = make_command(call);
    command.add_changes()->mutable_remove_user()->set_name(call.argument());
    add_token_revocation(call, command, principal);
    CO_TRY_ASSIGN(const auto existing, co_await find_principals(call, {principal}));
    if (!existing.empty()) add_remove(command, principal);
    CO_TRY_ASSIGN(const core::Revision revision,
                  co_await change(call, std::move(command), {.kind = "user", .key = call.argument()}));
    co_return changed_reply(200, revision);
}

Answer set_password(Call& call) {
    if (call.argument() != call.subject().user) CO_TRY(call.require(core::Action::kAdmin));
    CO_TRY(require_embedded_realm(call, "change the password there"));
    CO_TRY_ASSIGN(const Json body, co_await read_body(call));
    Fields fields(body);
    std::string password = fields.required_text("password");
    std::string current = fields.text("current_password");
    CO_TRY(fields.finish());
    CO_TRY(co_await check_password_right(call, std::move(current)));
    const std::string principal = full_principal(call, call.argument());
    CO_TRY_ASSIGN(const auto existing, co_await find_principals(call, {principal}));
    if (existing.empty()) co_return fail(Errc::kNotFound, "the realm has no principal {}", principal);
    auto changed = co_await in_realm(call, [&](RealmDoor& realm) {
        return realm.change_password(principal, existing.front().record(), password);
    });
    auth::wipe(password);
    if (!changed) co_return core::pass(std::move(changed));
    wire::Command command = make_command(call);
    add_put(command, std::move(*changed));
    add_token_revocation(call, command, principal);
    CO_TRY_ASSIGN(const core::Revision revision,
                  co_await change(call, std::move(command), {.kind = "user", .key = call.argument()}));
    co_return changed_reply(200, revision);
}

Answer user_keytab(Call& call) {
    CO_TRY(call.require(core::Action::kAdmin));
    CO_TRY(require_embedded_realm(call, "export the keytab there"));
    auto answer = co_await export_keytab(call, {full_principal(call, call.argument())},
                                         {.kind = "user", .key = call.argument()});
    co_return answer;
}

Answer enable_user(Call& call) {
    return set_disabled(call, false);
}
Answer disable_user(Call& call) {
    return set_disabled(call, true);
}

}  // namespace handlers
}  // namespace smackd::services
