// The KDC child: MIT krb5kdc, linked into this binary, in a process of its own with few rights.
//
// The child (`smackd kdc`) reads the master key from its standard input, chroots into the folder of realm.db,
// drops to its own uid, confines itself with Landlock and no_new_privs, and runs krb5kdc's main. It sees
// neither the host's krb5.conf nor any key file. Its parent watches it (kdc_supervisor.h).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "auth/realm.h"
#include "core/result.h"

namespace smackd::auth {

struct KdcConfig {
    std::string realm{};
    std::string listen{};    ///< "127.0.0.1:5088": UDP and TCP
    std::string realm_db{};  ///< path of realm.db; its folder becomes the child's root
    uint32_t uid = 0;        ///< uid and gid of the child; 0 keeps the parent's (tests, not root)
    uint32_t gid = 0;
    uint32_t requests_per_source_s = 200;      ///< AS requests a second from one address, above them dropped
    uint32_t failures_per_principal_min = 30;  ///< wrong keys a minute for one principal from one address
    uint32_t parent_pid = 0;                   ///< set by the supervisor
    int32_t clock_offset_s = 0;                ///< added to the clock (krb5kdc -T); for tests
};

/// krb5.conf for the KDC child itself.
std::string kdc_krb5_conf(const KdcConfig& config);
/// kdc.conf for the KDC child.
std::string kdc_conf(const KdcConfig& config);

/// krb5.conf for clients of the embedded realm (demo.env's KRB5_CONFIG, `smackd realm krb5-conf`).
/// `kdcs` are "HOST:PORT". Names are not canonicalised through DNS.
std::string client_krb5_conf(std::string_view realm, const std::vector<std::string>& kdcs);

/// Writes krb5.conf and kdc.conf beside realm.db and lets the child's gid read them and the database.
core::Result<void> prepare_kdc_files(const KdcConfig& config);

/// The argument list for `smackd kdc ...` that kdc_main() reads back (without the program's own name).
std::vector<std::string> kdc_arguments(const KdcConfig& config);
core::Result<KdcConfig> parse_kdc_arguments(const std::vector<std::string>& arguments);

/// Entry of the child: `arguments` are those after "kdc"; reads MasterKey::to_text from descriptor 0. Returns
/// the exit code; krb5kdc itself may call exit().
int kdc_main(const std::vector<std::string>& arguments);

/// Sets the process's Kerberos environment; called once in main before any thread. An empty path removes the
/// variable.
void set_kerberos_environment(const std::string& krb5_config_path);

}  // namespace smackd::auth
