// Groups of a Windows directory (Active Directory, Samba, FreeIPA): what a ticket says of them becomes a row
// of the state, so that every decision is made from the state alone, here and in apply.
#pragma once

#include "services/api/call.h"

namespace smackd::services {

/// A newer ticket that names the same groups is kept when it is newer by this much: so an older one that
/// names others does not count any more, and a client with a new ticket for each request does not write each
/// time.
inline constexpr int64_t kTicketTimeStepSeconds = 60;

/// After a sign-in by ticket or password, before SignIn::admit: when the ticket names other listed groups
/// than the state has of the user, the state is changed first and call.view read anew. A user in a listed
/// group who is not known is made. A ticket that is older than the one the state goes by changes nothing.
/// Refused is whoever has a signed word that cannot be read, and whose change the cluster cannot take now.
net::Task<SignInResult<void>> follow_directory(Call& call, const Proof& proof);

}  // namespace smackd::services
