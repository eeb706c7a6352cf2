// Who a command acts as: a ticket, a keytab, or a saved session, in this order of look-up at each server.
#pragma once

#include <memory>
#include <string>

#include "auth/initiator.h"
#include "cmd/smackd/client/server_address.h"
#include "core/result.h"
#include "core/units.h"

namespace smackd::cmd {

inline constexpr core::Duration kKerberosLimit = core::seconds(10);

/// Shared with the thread that runs GSS, which may outlive its caller (deadline.h).
using SharedCredential = std::shared_ptr<auth::ClientCredential>;

/// The ticket cache; else SMACKD_KEYTAB (with SMACKD_PRINCIPAL); else, for root, the admin's keytab of the
/// node on this machine. kUnauthenticated lists what was tried and what to do.
core::Result<SharedCredential> find_credential(const ServerAddress& server);

/// A ticket by keytab; an empty principal is the keytab's first.
core::Result<SharedCredential> keytab_credential(const std::string& path, const std::string& principal);

/// One GSS exchange with HTTP/HOST, both steps under kKerberosLimit.
class Negotiation {
 public:
    Negotiation(SharedCredential credential, std::string host, core::Bytes channel_binding)
        : credential_(std::move(credential)), host_(std::move(host)), binding_(std::move(channel_binding)) {}

    /// The value of the Authorization header.
    core::Result<std::string> first();
    /// Reads the server's WWW-Authenticate header; kDenied when the server did not prove that it holds its
    /// key.
    core::Result<void> verify(std::string_view www_authenticate);

 private:
    SharedCredential credential_;
    std::string host_;
    core::Bytes binding_;
    std::shared_ptr<auth::GssInitiator> initiator_;
};

}  // namespace smackd::cmd
