// Which tokens were revoked: the state's rows, asked at every use of a token. Immutable once made.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "auth/token.h"
#include "core/wire/command.pb.h"

namespace smackd::services {

class Revocations {
 public:
    Revocations() = default;
    explicit Revocations(const std::vector<wire::RevokeTokens>& rows);

    /// True for a token named by its id, and for one of a principal issued before their revocation.
    bool covers(const auth::TokenClaims& claims) const;

 private:
    std::unordered_set<std::string> ids_;
    std::unordered_map<std::string, int64_t> principals_;  // tokens issued before this many ms are revoked
};

}  // namespace smackd::services
