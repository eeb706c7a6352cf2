// Applications: definitions with their history, groups, deployments and back-off. Tasks are in
// task_changes.cc.
#include "core/marathon/app_json.h"
#include "core/marathon/path_id.h"
#include "core/names.h"
#include "core/wire/serialize.h"
#include "storage/state/app_claims.h"
#include "storage/state/app_rows.h"
#include "storage/state/authorization.h"
#include "storage/state/blob_rows.h"
#include "storage/state/changes.h"

namespace smackd::storage::state {

using core::Action;
using core::Errc;

namespace {

Outcome<void> check_id(std::string_view field, const std::string& id) {
    auto resolved = marathon::resolve_id(id);
    if (!resolved) return refused(core::pass(std::move(resolved), field));
    if (*resolved != id) return refuse(Errc::kInvalid, "{} '{}': must be absolute", field, id.substr(0, 64));
    return {};
}

Outcome<void> write_version(Writer& writer, const wire::AppDefinition& app, const core::Bytes& bytes) {
    sqlite::Database& state = writer.state();
    TRY(state.run("INSERT OR REPLACE INTO app_versions VALUES(?, ?, ?)",
                  {app.id(), app.version_ms(), sqlite::Blob{bytes}}));
    TRY(state.run(
        "DELETE FROM app_versions WHERE app = ?1 AND version_ms <= (SELECT version_ms FROM app_versions "
        "WHERE app = ?1 ORDER BY version_ms DESC LIMIT 1 OFFSET ?2)",
        {app.id(), kAppVersionsMax}));
    return {};
}

Outcome<void> check_app(Writer& writer, const wire::AppDefinition& app, bool exists) {
    TRY(check_id("app id", app.id()));
    if (auto checked = marathon::check_app(app); !checked) {
        return refuse(Errc::kInvalid, "app '{}': {}", app.id(), checked.error().to_string());
    }
    if (app.version_ms() <= 0)
        return refuse(Errc::kInvalid, "app '{}': version_ms must be above 0", app.id());
    if (exists) return {};
    TRY_ASSIGN(const int64_t apps, writer.state().integer("SELECT count(*) FROM apps"));
    if (apps >= kAppsMax)
        return refuse(Errc::kBusy, "there are {} apps already, the limit is {}", apps, kAppsMax);
    return {};
}

Outcome<void> may_on_all(Writer& writer, const wire::Deployment& deployment) {
    for (const std::string& app : deployment.affected_apps()) TRY(may_touch_app(writer, app));
    return {};
}

}  // namespace

Outcome<void> put_app(Writer& writer, const wire::PutApp& change) {
    const wire::AppDefinition& app = change.app();
    TRY_ASSIGN(const auto before, app_version(writer, app.id()));
    const bool exists = before != 0;
    TRY(may_on_app(writer, exists ? Action::kChange : Action::kLaunch, app.id()));
    TRY(check_app(writer, app, exists));
    TRY(check_reach(writer, app));
    TRY(check_fetches(writer, app));
    const core::Bytes bytes = serialize(app);
    TRY(writer.state().run(
        "INSERT OR REPLACE INTO apps VALUES(?, ?, ?, ?, ?)",
        {app.id(), app.version_ms(), app.instances(), sqlite::Blob{bytes}, writer.next_revision()}));
    TRY(write_version(writer, app, bytes));
    TRY(write_blob_uses(writer, app));
    TRY(write_claims(writer, app));
    TRY(writer.emit({.kind = "app", .key = app.id(), .row = bytes}));
    return {};
}

Outcome<void> remove_app(Writer& writer, const wire::RemoveApp& change) {
    TRY(may_on_app(writer, Action::kKill, change.id()));
    sqlite::Database& state = writer.state();
    TRY(state.run("DELETE FROM apps WHERE id = ?", {change.id()}));
    if (state.changes() == 0)
        return refuse(Errc::kNotFound, "App '{}' does not exist", change.id().substr(0, 128));
    TRY(state.run("DELETE FROM app_versions WHERE app = ?", {change.id()}));
    TRY(remove_claims(writer, change.id()));
    TRY(remove_blob_uses(writer, change.id()));
    TRY(writer.emit({.kind = "app", .key = change.id(), .removed = true}));
    TRY(state.run("DELETE FROM app_backoffs WHERE app = ?", {change.id()}));
    if (state.changes() != 0) TRY(writer.emit({.kind = "backoff", .key = change.id(), .removed = true}));
    return {};
}

Outcome<void> put_deployment(Writer& writer, const wire::PutDeployment& change) {
    const wire::Deployment& deployment = change.deployment();
    TRY(refused(core::check_key("deployment id", deployment.id())));
    TRY(may_on_all(writer, deployment));
    core::Bytes bytes = serialize(deployment);
    if (bytes.size() > kDeploymentBytesMax) {
        return refuse(Errc::kInvalid, "deployment '{}': {} bytes, the limit is {}", deployment.id(),
                      bytes.size(), kDeploymentBytesMax);
    }
    TRY_ASSIGN(const int64_t others,
               writer.state().integer("SELECT count(*) FROM deployments WHERE id <> ?", {deployment.id()}));
    if (others >= kDeploymentsMax)
        return refuse(Errc::kBusy, "{} deployments are running, the limit is {}", others, kDeploymentsMax);
    TRY(writer.state().run("INSERT OR REPLACE INTO deployments VALUES(?, ?, ?)",
                           {deployment.id(), sqlite::Blob{bytes}, writer.next_revision()}));
    TRY(writer.emit({.kind = "deployment", .key = deployment.id(), .row = std::move(bytes)}));
    return {};
}

Outcome<void> remove_deployment(Writer& writer, const wire::RemoveDeployment& change) {
    TRY_ASSIGN(const auto row, deployment_row(writer.state(), change.id()));
    if (!row) return refuse(Errc::kNotFound, "DeploymentPlan {} does not exist", change.id().substr(0, 64));
    TRY(may_on_all(writer, *row));
    TRY(writer.state().run("DELETE FROM deployments WHERE id = ?", {change.id()}));
    core::Bytes last;
    if (writer.position().feature_level >= kLevelOfNames) last = serialize(*row);
    TRY(writer.emit({.kind = "deployment", .key = change.id(), .removed = true, .row = std::move(last)}));
    return {};
}

Outcome<void> put_app_backoff(Writer& writer, const wire::PutAppBackoff& change) {
    const wire::AppBackoff& backoff = change.backoff();
    TRY(may_on_app(writer, Action::kChange, backoff.app_id()));
    TRY_ASSIGN(const auto app, app_version(writer, backoff.app_id()));
    if (app == 0) return refuse(Errc::kNotFound, "App '{}' does not exist", backoff.app_id().substr(0, 128));
    const bool nothing = backoff.failures() == 0 && !backoff.has_last_failure();
    if (nothing) {
        TRY(writer.state().run("DELETE FROM app_backoffs WHERE app = ?", {backoff.app_id()}));
        TRY(writer.emit({.kind = "backoff", .key = backoff.app_id(), .removed = true}));
        return {};
    }
    core::Bytes bytes = serialize(backoff);
    TRY(writer.state().run("INSERT OR REPLACE INTO app_backoffs VALUES(?, ?, ?)",
                           {backoff.app_id(), sqlite::Blob{bytes}, writer.next_revision()}));
    TRY(writer.emit({.kind = "backoff", .key = backoff.app_id(), .row = std::move(bytes)}));
    return {};
}

Outcome<void> put_app_group(Writer& writer, const wire::PutAppGroup& change) {
    const wire::GroupDefinition& group = change.group();
    TRY(check_id("group id", group.id()));
    TRY(may_touch_app(writer, group.id()));
    TRY_ASSIGN(const int64_t groups,
               writer.state().integer("SELECT count(*) FROM app_groups WHERE id <> ?", {group.id()}));
    if (groups >= kAppsMax) return refuse(Errc::kBusy, "there are {} groups already", groups);
    core::Bytes bytes = serialize(group);
    if (bytes.size() > kDefinitionBytesMax)
        return refuse(Errc::kInvalid, "group '{}': {} bytes, the limit is {}", group.id(), bytes.size(),
                      kDefinitionBytesMax);
    TRY(writer.state().run("INSERT OR REPLACE INTO app_groups VALUES(?, ?, ?)",
                           {group.id(), sqlite::Blob{bytes}, writer.next_revision()}));
    TRY(writer.emit({.kind = "app_group", .key = group.id(), .row = std::move(bytes)}));
    return {};
}

Outcome<void> remove_app_group(Writer& writer, const wire::RemoveAppGroup& change) {
    TRY(may_on_app(writer, Action::kKill, change.id()));
    TRY(writer.state().run("DELETE FROM app_groups WHERE id = ?", {change.id()}));
    if (writer.state().changes() == 0)
        return refuse(Errc::kNotFound, "Group '{}' does not exist", change.id().substr(0, 128));
    TRY(writer.emit({.kind = "app_group", .key = change.id(), .removed = true}));
    return {};
}

}  // namespace smackd::storage::state
