#include "services/api/principals.h"

#include "services/api/fields.h"
#include "services/api/reply.h"

namespace smackd::services {

using core::Errc;
using core::fail;
using core::Json;
using core::Result;
using net::Task;
using Principals = std::vector<wire::PutPrincipal>;

Result<void> require_embedded_realm(const Call& call, std::string_view what) {
    if (call.api.environment.realm != nullptr) return {};
    return fail(Errc::kUnsupported, "the realm {} is not run by this cluster: {}", call.view->cluster.realm(),
                what);
}

std::string full_principal(const Call& call, std::string_view name) {
    return std::format("{}@{}", name, call.view->cluster.realm());
}

Task<Result<Principals>> find_principals(Call& call, std::vector<std::string> names) {
    auto found = co_await call.api.readers.run<Principals>([&names](Readers& readers) -> Result<Principals> {
        Principals principals;
        for (const std::string& name : names) {
            TRY_ASSIGN(auto record, readers.rows.principal(name));
            if (!record) continue;
            principals.emplace_back().set_name(name);
            principals.back().set_record(std::move(*record));
        }
        return principals;
    });
    co_return found;
}

Task<Result<wire::PutPrincipal>> in_realm(Call& call,
                                          core::Callback<Result<wire::PutPrincipal>(RealmDoor&)> operation) {
    ApiEnvironment& environment = call.api.environment;
    auto made = co_await environment.workers.run<wire::PutPrincipal>(
        environment.loop, [&]() -> Result<wire::PutPrincipal> { return operation(*environment.realm); });
    co_return made;
}

void add_put(wire::Command& command, wire::PutPrincipal principal) {
    *command.add_changes()->mutable_put_principal() = std::move(principal);
}

void add_remove(wire::Command& command, const std::string& principal) {
    command.add_changes()->mutable_remove_principal()->set_name(principal);
}

void add_token_revocation(Call& call, wire::Command& command, const std::string& principal) {
    const int64_t now_s = call.api.environment.clock.wall().unix_ms / 1000;
    wire::RevokeTokens* revoke = command.add_changes()->mutable_revoke_tokens();
    revoke->set_principal(principal);
    // Tokens count in whole seconds: one that is issued right after this must stay good.
    revoke->set_issued_before_ms(now_s * 1000);
    revoke->set_expires_ms((now_s + auth::kTokenLifeSecondsMax) * 1000);
}

namespace {

Task<Result<void>> rotate_keys(Call& call, const Principals& principals, Target target) {
    wire::Command command = make_command(call);
    for (const wire::PutPrincipal& principal : principals) {
        auto rotated = co_await in_realm(
            call, [&](RealmDoor& realm) { return realm.rotate(principal.name(), principal.record()); });
        if (!rotated) co_return core::pass(std::move(rotated));
        add_put(command, std::move(*rotated));
    }
    CO_TRY(co_await change(call, std::move(command), std::move(target)));
    co_return Result<void>();
}

net::http::Response keytab_reply(const core::Bytes& keytab, bool base64) {
    if (base64) return json_reply(200, Json::object().set("keytab_base64", core::to_base64(keytab)));
    net::http::Response response;
    response.body = keytab;
    response.headers.add("Content-Type", "application/octet-stream");
    response.headers.add("Content-Disposition", "attachment; filename=\"smackd.keytab\"");
    response.headers.add("Cache-Control", "no-store");
    response.headers.add("X-Content-Type-Options", "nosniff");
    return response;
}

}  // namespace

Task<Result<core::Bytes>> make_keytab(Call& call, std::vector<std::string> names, Target target,
                                      bool rotate) {
    CO_TRY_ASSIGN(Principals principals, co_await find_principals(call, names));
    if (principals.empty()) {
        co_return fail(Errc::kNotFound, "{} '{}' has no principal in the realm", target.kind, target.key);
    }
    if (rotate) {
        CO_TRY(co_await rotate_keys(call, principals, std::move(target)));
        // What the state says, not what we proposed: a repeated request was answered without being applied
        // again.
        CO_TRY_ASSIGN(principals, co_await find_principals(call, std::move(names)));
    }
    ApiEnvironment& environment = call.api.environment;
    auto keytab = co_await environment.workers.run<core::Bytes>(
        environment.loop, [&] { return environment.realm->keytab(principals); });
    co_return keytab;
}

Task<Result<net::http::Response>> export_keytab(Call& call, std::vector<std::string> names, Target target) {
    CO_TRY_ASSIGN(const Json body, co_await read_body(call));
    Fields fields(body);
    const bool rotate = fields.boolean("rotate", true);
    CO_TRY(fields.finish());
    const bool base64 = call.request.query("encoding") == "base64";
    auto keytab = co_await make_keytab(call, std::move(names), std::move(target), rotate);
    if (!keytab) co_return core::pass(std::move(keytab));
    co_return keytab_reply(*keytab, base64);
}

}  // namespace smackd::services
