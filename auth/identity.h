// Who a Kerberos principal is to smackd: a user, a machine, a service, or nobody we know.
//
// Pure. The mapping is ours and exact; GSS's auth_to_local is never asked, since it depends on the host's
// krb5.conf. A principal of a foreign realm is refused unless the realm is listed.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace smackd::auth {

inline constexpr size_t kPrincipalBytesMax = 512;
inline constexpr size_t kPrincipalComponentsMax = 8;

/// A principal name in parts, without krb5's quoting.
struct Principal {
    std::vector<std::string> components;
    std::string realm;

    /// Reads "a/b@REALM" with krb5's backslash escapes; the realm must be there. kInvalid names the rule.
    static core::Result<Principal> parse(std::string_view text);
    /// The same text form, escaped where needed.
    std::string to_string() const;
    bool operator==(const Principal&) const = default;
};

enum class IdentityKind : uint8_t {
    kUser,     ///< alice@REALM
    kMachine,  ///< smack/HOST@REALM
    kService,  ///< any other name of two or more components: may hold a ticket, may do nothing
    kTask,     ///< of an application; no principal of Kerberos
};

struct Identity {
    IdentityKind kind = IdentityKind::kService;
    std::string name;       ///< user name, host name or task id; for a service the principal
    std::string principal;  ///< as authenticated, with realm

    bool operator==(const Identity&) const = default;
};

struct IdentityRules {
    std::string home_realm;
    /// Further realms whose principals are let in at all (cross-realm trust); empty by default.
    std::vector<std::string> allowed_realms;
    /// Exact principal -> user name, for principals whose first component is not the user name. The only way
    /// in for users of an allowed foreign realm.
    std::map<std::string, std::string> users;
};

/// Maps an authenticated principal. kDenied names the realm, or says why the name maps to no user.
core::Result<Identity> identify(const IdentityRules& rules, std::string_view principal);

/// Who a task is; its principal is none of Kerberos (core::task_principal).
Identity task_identity(std::string_view task);

/// "alice@REALM": the principal of a user of `realm`.
std::string user_principal(std::string_view user, std::string_view realm);
/// "smack/host@REALM".
std::string machine_principal(std::string_view host, std::string_view realm);
/// "HTTP/host@REALM".
std::string http_principal(std::string_view host, std::string_view realm);

}  // namespace smackd::auth
