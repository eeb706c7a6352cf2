// Kerberos principals, secrets and revoked tokens. state.db knows which there are, the other files what they
// hold.
#include <algorithm>

#include "core/names.h"
#include "core/wire/realm.pb.h"
#include "core/wire/serialize.h"
#include "storage/state/changes.h"
#include "storage/state/traits.h"

namespace smackd::storage::state {

using core::Errc;

namespace {

/// A revocation is never weakened, since everybody may revoke their own tokens.
core::Result<void> keep_later_revocation(sqlite::Database& state, wire::RevokeTokens& row) {
    TRY_ASSIGN(
        auto cursor,
        state.query(
            "SELECT issued_before_ms, expires_ms FROM revoked_tokens WHERE principal = ? AND token_id = ?",
            {row.principal(), row.token_id()}));
    TRY_ASSIGN(const bool found, cursor.next());
    if (!found) return {};
    row.set_issued_before_ms(std::max(row.issued_before_ms(), cursor.row().integer(0)));
    const int64_t expires = cursor.row().integer(1);
    const bool never = expires == 0 || row.expires_ms() == 0;
    row.set_expires_ms(never ? 0 : std::max(row.expires_ms(), expires));
    return {};
}

}  // namespace

Outcome<void> put_principal(Writer& writer, const wire::PutPrincipal& change) {
    TRY(refused(core::check_principal_name(change.name())));
    if (change.record().empty() || change.record().size() > kPrincipalRecordBytesMax) {
        return refuse(Errc::kInvalid, "principal '{}': the record has {} bytes, it must have 1 to {}",
                      change.name(), change.record().size(), kPrincipalRecordBytesMax);
    }
    if (!wire::PrincipalRecord().ParseFromString(change.record())) {
        return refuse(Errc::kInvalid, "principal '{}': the record is no wire.PrincipalRecord", change.name());
    }
    TRY(writer.put_principal(change.name(), change.record()));
    TRY(writer.state().run("INSERT OR REPLACE INTO principals VALUES(?, ?)",
                           {change.name(), writer.next_revision()}));
    TRY(writer.emit({.kind = "principal", .key = change.name()}));
    return {};
}

Outcome<void> remove_principal(Writer& writer, const wire::RemovePrincipal& change) {
    TRY(writer.state().run("DELETE FROM principals WHERE name = ?", {change.name()}));
    if (writer.state().changes() == 0)
        return refuse(Errc::kNotFound, "no principal '{}'", change.name().substr(0, 64));
    TRY(writer.remove_principal(change.name()));
    TRY(writer.emit({.kind = "principal", .key = change.name(), .removed = true}));
    return {};
}

Outcome<void> put_secret(Writer& writer, const wire::PutSecret& change) {
    TRY(refused(core::check_key("secret name", change.name())));
    if (change.sealed().empty() || change.sealed().size() > kSealedBytesMax) {
        return refuse(Errc::kInvalid, "secret '{}': the sealed value has {} bytes, it must have 1 to {}",
                      change.name(), change.sealed().size(), kSealedBytesMax);
    }
    TRY(writer.put_secret(change.name(), change.sealed()));
    TRY(writer.state().run("INSERT OR REPLACE INTO secrets VALUES(?, ?)",
                           {change.name(), writer.next_revision()}));
    TRY(writer.emit({.kind = "secret", .key = change.name()}));
    return {};
}

Outcome<void> remove_secret(Writer& writer, const wire::RemoveSecret& change) {
    TRY(writer.state().run("DELETE FROM secrets WHERE name = ?", {change.name()}));
    if (writer.state().changes() == 0)
        return refuse(Errc::kNotFound, "no secret '{}'", change.name().substr(0, 64));
    TRY(writer.remove_secret(change.name()));
    TRY(writer.emit({.kind = "secret", .key = change.name(), .removed = true}));
    return {};
}

Outcome<void> revoke_tokens(Writer& writer, const wire::RevokeTokens& change) {
    TRY(refused(core::check_principal_name(change.principal())));
    if (!change.token_id().empty()) TRY(refused(core::check_key("token_id", change.token_id())));
    sqlite::Database& state = writer.state();
    // Rows that no living token can match any more are of no use to anybody.
    TRY(state.run("DELETE FROM revoked_tokens WHERE expires_ms > 0 AND expires_ms < ?",
                  {writer.position().time_ms}));
    wire::RevokeTokens row = change;
    TRY(keep_later_revocation(state, row));
    TRY(state.run(
        "INSERT OR REPLACE INTO revoked_tokens VALUES(?, ?, ?, ?, ?)",
        {row.principal(), row.token_id(), row.issued_before_ms(), row.expires_ms(), writer.next_revision()}));
    const std::string key = row.token_id().empty() ? row.principal() : row.principal() + "/" + row.token_id();
    TRY(writer.emit({.kind = "token", .key = key, .row = serialize(row)}));
    return {};
}

}  // namespace smackd::storage::state
