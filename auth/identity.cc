#include "auth/identity.h"

#include <algorithm>

#include "core/names.h"
#include "core/planted.h"

namespace smackd::auth {
namespace {

using core::Errc;
using core::fail;
using core::Result;

bool is_control(char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

// krb5_unparse_name escapes these in components and realms.
void append_escaped(std::string& out, std::string_view part) {
    for (const char c : part) {
        if (c == '/' || c == '@' || c == '\\') out.push_back('\\');
        out.push_back(c);
    }
}

Result<Identity> user_or_refusal(std::string_view name, std::string_view principal) {
    if (auto checked = core::check_user_name(name); !checked) {
        return fail(Errc::kDenied, "the principal {} maps to no user: {}", principal,
                    checked.error().message);
    }
    return Identity{IdentityKind::kUser, std::string(name), std::string(principal)};
}

Result<void> check_realm(const IdentityRules& rules, const std::string& realm, std::string_view principal) {
    if (realm == rules.home_realm) return {};
    if (std::ranges::find(rules.allowed_realms, realm) != rules.allowed_realms.end()) return {};
    return fail(Errc::kDenied,
                "wrong realm: {} is of realm {}, this cluster accepts {}; get a ticket of that realm "
                "(kinit NAME@{})",
                principal, realm, rules.home_realm, rules.home_realm);
}

}  // namespace

Result<Principal> Principal::parse(std::string_view text) {
    if (text.empty() || text.size() > kPrincipalBytesMax) {
        return fail(Errc::kInvalid, "principal: must have 1 to {} bytes", kPrincipalBytesMax);
    }
    Principal parsed;
    std::string part;
    bool in_realm = false;
    for (size_t i = 0; i < text.size(); i++) {
        char c = text[i];
        const bool escaped = c == '\\' && !SMACK_BUG("fuzz_principal");
        if (escaped) {
            if (++i == text.size()) return fail(Errc::kInvalid, "principal: ends in a backslash");
            c = text[i];
            // \n, \t, \b and \0 stand for control characters, which no name of ours holds.
            if (c == 'n' || c == 't' || c == 'b' || c == '0') {
                return fail(Errc::kInvalid, "principal: holds a control character");
            }
        }
        if (is_control(c)) return fail(Errc::kInvalid, "principal: holds a control character");
        if (!escaped && c == '@') {
            if (in_realm) return fail(Errc::kInvalid, "principal: has two '@'");
            in_realm = true;
            parsed.components.push_back(std::move(part));
            part.clear();
        } else if (!escaped && c == '/' && !in_realm) {
            parsed.components.push_back(std::move(part));
            part.clear();
        } else {
            part.push_back(c);
        }
    }
    if (!in_realm || part.empty())
        return fail(Errc::kInvalid, "principal: needs a realm, as in alice@EXAMPLE.COM");
    parsed.realm = std::move(part);
    if (parsed.components.size() > kPrincipalComponentsMax) {
        return fail(Errc::kInvalid, "principal: has more than {} components", kPrincipalComponentsMax);
    }
    for (const std::string& component : parsed.components) {
        if (component.empty()) return fail(Errc::kInvalid, "principal: has an empty component");
    }
    return parsed;
}

std::string Principal::to_string() const {
    std::string out;
    for (const std::string& component : components) {
        if (!out.empty()) out.push_back('/');
        append_escaped(out, component);
    }
    out.push_back('@');
    append_escaped(out, realm);
    return out;
}

Result<Identity> identify(const IdentityRules& rules, std::string_view principal) {
    TRY_ASSIGN(const Principal parsed, Principal::parse(principal));
    TRY(check_realm(rules, parsed.realm, principal));
    if (const auto listed = rules.users.find(std::string(principal)); listed != rules.users.end()) {
        return user_or_refusal(listed->second, principal);
    }
    const bool home = parsed.realm == rules.home_realm;
    if (parsed.components.size() == 1) {
        if (home) return user_or_refusal(parsed.components[0], principal);
        return fail(
            Errc::kDenied,
            "{} is of the foreign realm {} and no user is mapped to it; an administrator can add the mapping",
            principal, parsed.realm);
    }
    const bool machine = home && parsed.components.size() == 2 && parsed.components[0] == "smack";
    if (machine && core::check_machine_name(parsed.components[1])) {
        return Identity{IdentityKind::kMachine, parsed.components[1], std::string(principal)};
    }
    return Identity{IdentityKind::kService, std::string(principal), std::string(principal)};
}

Identity task_identity(std::string_view task) {
    return {IdentityKind::kTask, std::string(task), core::task_principal(task)};
}

std::string user_principal(std::string_view user, std::string_view realm) {
    return Principal{{std::string(user)}, std::string(realm)}.to_string();
}

std::string machine_principal(std::string_view host, std::string_view realm) {
    return Principal{{"smack", std::string(host)}, std::string(realm)}.to_string();
}

std::string http_principal(std::string_view host, std::string_view realm) {
    return Principal{{"HTTP", std::string(host)}, std::string(realm)}.to_string();
}

}  // namespace smackd::auth
