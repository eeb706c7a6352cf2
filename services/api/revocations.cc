#include "services/api/revocations.h"

#include <algorithm>

namespace smackd::services {

Revocations::Revocations(const std::vector<wire::RevokeTokens>& rows) {
    for (const wire::RevokeTokens& row : rows) {
        if (!row.token_id().empty()) {
            ids_.insert(row.token_id());
        } else {
            int64_t& before_ms = principals_[row.principal()];
            before_ms = std::max(before_ms, row.issued_before_ms());
        }
    }
}

bool Revocations::covers(const auth::TokenClaims& claims) const {
    if (ids_.contains(claims.id)) return true;
    const auto found = principals_.find(claims.subject);
    return found != principals_.end() && claims.issued_at_s * 1000 < found->second;
}

}  // namespace smackd::services
