// Why a ticket was refused: asks libkrb5 itself, since GSS-API blurs the reason.
#pragma once

#include <krb5.h>

#include <cstdint>
#include <optional>
#include <string>

#include "core/bytes.h"

namespace smackd::auth {

struct TicketDiagnosis {
    bool found = false;                    ///< the token holds a Kerberos AP-REQ
    krb5_error_code code = 0;              ///< 0: the ticket by itself is good
    std::string text;                      ///< the library's sentence
    std::string server;                    ///< the principal the ticket is for, empty when unknown
    std::optional<int64_t> client_time_s;  ///< the client's clock as it stamped the request
};

/// The DER of the AP-REQ inside a GSS token, raw or in SPNEGO; empty when there is none.
core::BytesView find_ap_req(core::BytesView token);

/// Reads the AP-REQ of `token` with the keytab, touching no replay cache. For refused tokens only.
TicketDiagnosis diagnose_ticket(core::BytesView token, const std::string& keytab_path);

/// "2026-11-25 15:04:05 UTC".
std::string format_utc(int64_t unix_s);
/// The same of this machine's clock, the one libkrb5 compares with.
std::string now_utc();

}  // namespace smackd::auth
