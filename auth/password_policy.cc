#include <algorithm>
#include <array>
#include <set>

#include "auth/realm.h"
#include "core/ascii.h"
#include "core/names.h"

namespace smackd::auth {
namespace {

using core::Errc;
using core::fail;
using core::Result;

constexpr size_t kDistinctCharactersMin = 5;

// Long enough for the length rule and still among the first that are tried.
constexpr std::array<std::string_view, 14> kWellKnown = {
    "passwordpassword",
    "password1234",
    "password12345",
    "password123456",
    "123456789012",
    "1234567890123",
    "qwertyuiop12",
    "qwertyuiopas",
    "1q2w3e4r5t6y",
    "administrator",
    "letmeinletmein",
    "changemechangeme",
    "correcthorsebatterystaple",
    "iloveyouiloveyou",
};

}  // namespace

// A sniffer can guess offline against an exchange (without SPAKE) and nobody can make people choose at
// random: length is what helps (NIST SP 800-63B section 5.1.1); composition rules do not and are not asked
// for.
Result<void> check_password_policy(std::string_view user, std::string_view password) {
    if (password.size() < kPasswordBytesMin) {
        return fail(Errc::kInvalid,
                    "password: must have at least {} characters; a few unrelated words do well",
                    kPasswordBytesMin);
    }
    TRY(core::check_text("password", password, kPasswordBytesMax));
    const std::string lower = core::ascii_lower(password);
    if (std::set<char>(lower.begin(), lower.end()).size() < kDistinctCharactersMin) {
        return fail(Errc::kInvalid, "password: must have at least {} different characters",
                    kDistinctCharactersMin);
    }
    if (user.size() >= 3 && lower.contains(core::ascii_lower(user))) {
        return fail(Errc::kInvalid, "password: must not hold the user name");
    }
    if (std::ranges::find(kWellKnown, lower) != kWellKnown.end()) {
        return fail(Errc::kInvalid, "password: is one of the most used ones");
    }
    return {};
}

}  // namespace smackd::auth
