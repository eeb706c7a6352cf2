#include "storage/state/app_claims.h"

#include <set>

#include "core/apps/claims.h"
#include "storage/state/app_rows.h"
#include "storage/state/limits.h"

namespace smackd::storage::state {

using core::Errc;

namespace {

Outcome<void> check_rights(Writer& writer, const wire::AppDefinition& app) {
    const bool all = writer.position().feature_level >= kLevelOfNames;
    for (const apps::NeededRight& right :
         all ? apps::needed_rights(app) : apps::needed_rights_before_names(app)) {
        const auto allowed = may_on_app(writer, right.action, app.id());
        if (allowed || !allowed.error().refused) {
            TRY(allowed);
            continue;
        }
        return refuse(Errc::kDenied, "{}",
                      apps::text_of_missing_right(app, right, allowed.error().error.message));
    }
    return {};
}

/// `claim` is what the app asks for, `taken` what others would lose by it.
Outcome<void> check_owners(Writer& writer, const std::string& app, const std::string& claim,
                           const std::string& taken) {
    TRY_ASSIGN(auto cursor,
               writer.state().query("SELECT app FROM app_claims WHERE claim = ? AND app <> ?", {taken, app}));
    while (true) {
        TRY_ASSIGN(const bool more, cursor.next());
        if (!more) return {};
        const std::string owner(cursor.row().text(0));
        const auto allowed = may_on_app(writer, core::Action::kChange, owner);
        if (!allowed && !allowed.error().refused) return allowed;
        if (allowed) continue;
        // Whoever may not see the owner is not told who it is.
        const bool seen = may_on_app(writer, core::Action::kView, owner).has_value();
        return refuse(Errc::kDenied, "{}", apps::text_of_taken_claim(app, claim, seen ? owner : ""));
    }
}

std::set<std::string> known_claims(const wire::AppDefinition& app, uint32_t level) {
    return level >= kLevelOfNames ? apps::claims_of(app) : apps::claims_before_names(app);
}

core::Result<void> insert(sqlite::Database& state, const std::string& app,
                          const std::set<std::string>& claims) {
    for (const std::string& claim : claims)
        TRY(state.run("INSERT OR IGNORE INTO app_claims VALUES(?, ?)", {claim, app}));
    return {};
}

}  // namespace

Outcome<void> check_reach(Writer& writer, const wire::AppDefinition& app) {
    TRY(check_rights(writer, app));
    const uint32_t level = writer.position().feature_level;
    for (const std::string& claim : known_claims(app, level)) {
        if (level < kLevelOfNames) {
            TRY(check_owners(writer, app.id(), claim, claim));
            continue;
        }
        for (const std::string& taken : apps::excluded_by(claim))
            TRY(check_owners(writer, app.id(), claim, taken));
    }
    return {};
}

Outcome<void> write_claims(Writer& writer, const wire::AppDefinition& app) {
    TRY(remove_claims(writer, app.id()));
    TRY(insert(writer.state(), app.id(), known_claims(app, writer.position().feature_level)));
    return {};
}

Outcome<void> remove_claims(Writer& writer, const std::string& app_id) {
    TRY(writer.state().run("DELETE FROM app_claims WHERE app = ?", {app_id}));
    return {};
}

core::Result<void> add_claims_of_names(sqlite::Database& state) {
    std::vector<wire::AppDefinition> apps;
    TRY_ASSIGN(auto cursor, state.query("SELECT definition FROM apps ORDER BY id", {}));
    while (true) {
        TRY_ASSIGN(const bool more, cursor.next());
        if (!more) break;
        const auto bytes = cursor.row().blob(0);
        wire::AppDefinition app;
        if (!app.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
            return core::fail(Errc::kCorrupt, "the definition of an app cannot be read");
        apps.push_back(std::move(app));
    }
    for (const wire::AppDefinition& app : apps) TRY(insert(state, app.id(), apps::claims_of(app)));
    return {};
}

}  // namespace smackd::storage::state
