// What a registry says about signing in: challenges and tokens (distribution's token authentication, RFC 9110
// section 11.6.1).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace smackd::core::images {

inline constexpr size_t kChallengeBytesMax = 8192;
inline constexpr size_t kTokenBytesMax = 64 * 1024;
inline constexpr int64_t kTokenLifeDefaultSeconds = 60;  ///< when the answer has no expires_in
inline constexpr int64_t kTokenLifeMaxSeconds = 3600;    ///< longer ones are asked for again earlier

struct Challenge {
    enum class Scheme : uint8_t { kBasic, kBearer };
    Scheme scheme = Scheme::kBasic;
    std::string realm;    ///< Bearer: the URL of the token server
    std::string service;  ///< Bearer
    std::string scope;    ///< Bearer; empty: none named
    bool operator==(const Challenge&) const = default;
};

/// Reads one WWW-Authenticate value, which may hold several challenges; schemes we do not know are left out.
/// kInvalid when it is malformed, too long or repeats a parameter.
Result<std::vector<Challenge>> parse_challenges(std::string_view value);

struct TokenAnswer {
    std::string token;
    int64_t life_seconds = kTokenLifeDefaultSeconds;
};

/// Reads the JSON of a token server: `token` or `access_token`, `expires_in`. kInvalid names the field; a
/// token has printable ASCII only, since it becomes a header.
Result<TokenAnswer> parse_token_answer(std::string_view text);

/// The sentence of an error body, `{"errors":[{"code":..,"message":..}]}`; printable and at most 200 bytes,
/// empty when there is none.
std::string registry_error_text(std::string_view body);

}  // namespace smackd::core::images
