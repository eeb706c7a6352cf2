// Which names are names: one rule per noun, checked at the door and again in apply.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/result.h"

namespace smackd::core {

/// Machine: a DNS host name in lower case (RFC 1123), at most 253 bytes, labels of at most 63.
Result<void> check_machine_name(std::string_view name);
/// User or group: [a-z_][a-z0-9_.-]{0,62}; the first component of a Kerberos principal.
Result<void> check_user_name(std::string_view name);
Result<void> check_group_name(std::string_view name);
/// Kerberos realm: upper-case DNS form, [A-Z0-9.-], at most 253 bytes.
Result<void> check_realm_name(std::string_view name);
/// Kerberos principal "first/second@REALM" (RFC 4120 section 6.2) of at most 255 bytes: one to four
/// components of printable ASCII without space, '/', '@' and backslash, and a realm as check_realm_name wants
/// it.
Result<void> check_principal_name(std::string_view name);
/// "task:ID": a task as an actor and in its token. No Kerberos principal is one, for it has no realm.
std::string task_principal(std::string_view task);
/// The id in it; nullopt for any other text.
std::optional<std::string_view> task_of_principal(std::string_view principal);
/// Rule id, setting and secret names: [a-zA-Z0-9_.:/-]{1,128}.
Result<void> check_key(std::string_view field, std::string_view name);
/// Tenant path: starts with '/', components of [a-z0-9-.], no empty, '.' or '..' component, at most 512
/// bytes.
Result<void> check_path(std::string_view path);
/// Free text for people: UTF-8 of at most `bytes_max` bytes without control characters.
Result<void> check_text(std::string_view field, std::string_view text, size_t bytes_max);

}  // namespace smackd::core
