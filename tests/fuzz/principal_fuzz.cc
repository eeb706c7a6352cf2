// Names of who connects: Kerberos principals out of tickets, node URIs out of certificates.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "auth/cluster_ca.h"
#include "auth/identity.h"
#include "core/assert.h"
#include "core/names.h"

using namespace smackd;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (const auto node = auth::NodeIdentity::parse(text)) {
        SMACK_ASSERT(node->to_uri() == text);  // one node has one URI
    }
    const auto principal = auth::Principal::parse(text);
    const auto identity =
        auth::identify({.home_realm = "A.COM", .allowed_realms = {"B.COM"}, .users = {}}, text);
    SMACK_ASSERT(principal || !identity);
    if (!principal) return 0;
    const auto again = auth::Principal::parse(principal->to_string());
    // Escapes may make the text longer than a principal may be.
    SMACK_ASSERT(again ? *again == *principal : principal->to_string().size() > auth::kPrincipalBytesMax);
    if (!identity || identity->kind == auth::IdentityKind::kService) return 0;
    // A user or machine is exactly one name of the home realm.
    SMACK_ASSERT(principal->realm == "A.COM" && identity->principal == text);
    const bool user = identity->kind == auth::IdentityKind::kUser;
    SMACK_ASSERT(principal->components.size() == (user ? 1U : 2U));
    SMACK_ASSERT(identity->name == principal->components.back());
    SMACK_ASSERT(user ? core::check_user_name(identity->name).has_value()
                      : core::check_machine_name(identity->name).has_value());
    return 0;
}
