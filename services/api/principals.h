// The Kerberos side of users and machines: what handlers add to a command when the realm is the cluster's
// own.
#pragma once

#include <string>
#include <vector>

#include "services/api/call.h"

namespace smackd::services {

/// kUnsupported on a cluster whose realm is an outside one; `what` is what would have to be done there
/// instead.
core::Result<void> require_embedded_realm(const Call& call, std::string_view what);

/// "alice@REALM", "smack/n1@REALM".
std::string full_principal(const Call& call, std::string_view name);

/// The records of those of `names` (with realm) that exist.
net::Task<core::Result<std::vector<wire::PutPrincipal>>> find_principals(Call& call,
                                                                         std::vector<std::string> names);

/// Runs one operation of the realm on a worker.
net::Task<core::Result<wire::PutPrincipal>> in_realm(
    Call& call, core::Callback<core::Result<wire::PutPrincipal>(RealmDoor&)> operation);

void add_put(wire::Command& command, wire::PutPrincipal principal);
void add_remove(wire::Command& command, const std::string& principal);
/// All tokens that `principal` was given before this second.
void add_token_revocation(Call& call, wire::Command& command, const std::string& principal);

/// A keytab file's bytes with the keys of `principals`, which are new ones with `rotate`. kNotFound when
/// there is none.
net::Task<core::Result<core::Bytes>> make_keytab(Call& call, std::vector<std::string> principals,
                                                 Target target, bool rotate);

/// New keys for `principals` (unless the body says {"rotate": false}), then a keytab file with them: raw, or
/// in JSON with ?encoding=base64. kNotFound when there is none.
net::Task<core::Result<net::http::Response>> export_keytab(Call& call, std::vector<std::string> principals,
                                                           Target target);

}  // namespace smackd::services
