// Kerberos: the node's keytab, whether each KDC answers and knows the node, and whether its clock is ours.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "auth/kdc_probe.h"
#include "auth/keytab.h"
#include "cmd/smackd/doctor/finding.h"
#include "core/units.h"

namespace smackd::cmd {

inline constexpr int64_t kClockSkewWarnMs = 5'000;
inline constexpr int64_t kClockSkewFailMs = 120'000;  ///< Kerberos refuses at 300 s
inline constexpr core::Duration kKdcLimit = core::seconds(3);
inline constexpr size_t kKdcsAsked = 8;

struct KerberosChecks {
    std::string name;  ///< of the machine, as in smack/NAME@REALM
    std::string realm;
    std::string keytab;     ///< path
    bool embedded = false;  ///< the realm is the cluster's own
    bool server = true;     ///< wants HTTP/NAME too
    /// HOST:PORT; nothing: those of krb5.conf.
    std::optional<std::vector<std::string>> kdcs{};
};
Findings examine_kerberos(const KerberosChecks& checks);

/// Pure parts, for tests. `whose`: "the server's", "that of KDC n1:88".
Finding judge_clock(int64_t our_ms, int64_t their_ms, std::string_view whose);
Finding judge_keytab(const auth::Keytab& keytab, const KerberosChecks& checks);
Finding judge_kdc(const std::string& kdc, const auth::KdcAnswer& answer, const KerberosChecks& checks);

}  // namespace smackd::cmd
