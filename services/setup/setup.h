// The first command of a new cluster: who it is, its realm, its first machine and its first admin. Pure, but
// for the keys that auth::Realm draws.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "auth/realm.h"
#include "core/clock.h"
#include "core/result.h"
#include "core/wire/command.pb.h"

namespace smackd::services {

inline constexpr uint32_t kSetupFeatureLevel = 1;
inline constexpr std::string_view kAdminGroup = "admins";
inline constexpr std::string_view kAdminRule = "admins";

/// The keys of a new embedded realm.
struct RealmSetup {
    std::string machine;                  ///< host name of this first machine: gets host/ and smack/
    std::vector<std::string> http_names;  ///< host names under which the API is reached: each gets HTTP/
    std::string admin;                    ///< user name
    std::optional<std::string> password;  ///< of the admin; without one a random key (sign-in by keytab)
};

/// K/M, krbtgt, HTTP/..., host/..., smack/... and the admin, in this order. Errors of auth::Realm, kInvalid
/// for names that are none.
core::Result<std::vector<wire::PutPrincipal>> make_realm(const auth::Realm& realm, const RealmSetup& setup,
                                                         core::WallTime now);

struct ClusterSetup {
    std::string cluster_id;    ///< hex SHA-256 of the CA's public key
    std::string cluster_name;  ///< text for people, at most 64 bytes
    std::string realm;
    bool embedded_realm = false;
    std::string ca_certificate_pem;
    std::string machine;  ///< host name of this first machine; may join as server, agent and public
    std::string admin;    ///< user name; member of `admins`, which may do everything
    std::vector<wire::PutPrincipal> principals;  ///< of make_realm; empty with an outside realm
    std::vector<wire::PutSecret> secrets;  ///< sealed: CA key, token key, master key, wrapped cluster key
    std::vector<wire::PutSetting> settings;
};

/// One command that makes all of it or nothing. It expects a state without a cluster, so that proposing it
/// twice changes nothing. kInvalid names the field and the rule.
core::Result<wire::Command> make_setup_command(const ClusterSetup& setup);

}  // namespace smackd::services
