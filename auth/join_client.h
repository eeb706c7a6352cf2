// The machine's side of joining (auth/join_server.h has the protocol).
//
// Only JoinTicket::get waits for a KDC; it blocks for as long as libkrb5 likes (a silent KDC: about a
// minute), so it runs on a thread of its own with a deadline. The exchange itself then asks no KDC.
#pragma once

#include <memory>
#include <string>

#include "auth/initiator.h"
#include "auth/join_frame.h"
#include "core/clock.h"
#include "net/crypto/key.h"
#include "net/stream.h"

namespace smackd::auth {

/// The machine's ticket for one member, fetched ahead.
class JoinTicket {
 public:
    struct Source {
        std::string keytab;
        std::string principal;  ///< empty: the keytab's first smack/ entry
        std::string member;     ///< "smack/n1@REALM"
    };
    /// Blocks. kNotFound: the keytab lacks the principal (says what it has); kUnauthenticated, kUnavailable:
    /// of the KDC.
    static core::Result<JoinTicket> get(const Source& source);

    const std::string& principal() const { return credential_->principal(); }
    const std::string& member() const { return member_; }
    /// A new authentication bound to `channel_binding`; asks no KDC.
    core::Result<GssInitiator> begin(core::Bytes channel_binding) const;

 private:
    JoinTicket(std::unique_ptr<ClientCredential> credential, std::string member)
        : credential_(std::move(credential)), member_(std::move(member)) {}
    std::unique_ptr<ClientCredential> credential_;
    std::string member_;
};

/// "smack/host@REALM" of a keytab: its first, or kNotFound with what it has.
core::Result<std::string> machine_principal_of_keytab(const std::string& path);

/// What the machine asks for, and what it insists on.
struct JoinWish {
    wire::JoinRequest request;  ///< nonce and time are filled in here
    std::string cluster_pin;    ///< cluster id that the answer must have; empty: any
    const core::Clock& clock;
};

/// PKCS #10 of `key`, for JoinRequest::certificate_request_pem.
core::Result<std::string> join_certificate_request(const net::crypto::KeyPair& key,
                                                   const std::string& machine);

/// The exchange over `stream` (TLS 1.3, certificate unchecked). A refusal comes with the member's code and
/// sentence. The answer has been checked: nonce, cluster pin, certificate of our key signed by its CA.
net::Task<core::Result<wire::JoinAnswer>> ask_to_join(net::Stream& stream, const JoinTicket& ticket,
                                                      JoinWish wish);
/// Renewal over mutual TLS without a ticket, while no KDC answers.
net::Task<core::Result<wire::JoinAnswer>> ask_unproved(net::Stream& stream, JoinWish wish);

}  // namespace smackd::auth
