#include "services/api/still_welcome.h"

namespace smackd::services {

using core::Errc;
using core::fail;
using core::Result;

net::Task<Result<std::shared_ptr<const StateView>>> still_welcome(ApiContext& api, Caller& caller) {
    CO_TRY_ASSIGN(auto view, co_await api.cache.current());
    const auth::TokenClaims& token = caller.proof.token;
    if (!token.id.empty()) {
        if (view->revocations.covers(token)) co_return fail(Errc::kUnauthenticated, "the token was revoked");
        if (token.expires_s * 1000 < api.environment.clock.wall().unix_ms) {
            co_return fail(Errc::kUnauthenticated, "the token has expired; sign in again");
        }
    }
    const auth::Identity& identity = caller.proof.identity;
    CO_TRY_ASSIGN(caller.subject, view->policy.admit(identity.name, identity.principal));
    co_return view;
}

}  // namespace smackd::services
