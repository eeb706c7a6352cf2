// What a directory's KDC says of a user inside the ticket: KERB_VALIDATION_INFO (MS-PAC 2.5), in NDR as
// MS-RPCE 2.2.6 serializes a type. Active Directory, Samba and FreeIPA put it there.
//
// Pure. Only bytes whose signature libkrb5 has checked belong here (acceptor.h); they come from the KDC all
// the same, which for us is outside.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.h"
#include "core/result.h"

namespace smackd::auth {

inline constexpr size_t kLogonInfoBytesMax = 64 * 1024;
/// Windows itself gives up at 1,015 groups in a token.
inline constexpr size_t kLogonGroupsMax = 4096;
inline constexpr size_t kLogonTextUnitsMax = 1024;

struct LogonInfo {
    std::string account;                  ///< sAMAccountName, UTF-8
    std::string full_name;                ///< UTF-8; may be empty
    std::string sid;                      ///< of the user
    std::vector<std::string> group_sids;  ///< those that are enabled: sorted, each once
    bool operator==(const LogonInfo&) const = default;
};

/// kInvalid names what is wrong. Groups for denying only are left out, as are extra and resource groups that
/// UserFlags does not announce.
core::Result<LogonInfo> parse_logon_info(core::BytesView bytes);

/// Whether a directory's account (case does not matter there) is the one that a user's name means.
bool is_account_of(std::string_view account, std::string_view user);

}  // namespace smackd::auth
