// Which keys the API's door accepts tickets with, and with which it proves a KDC's word on a password.
#pragma once

#include "services/api/kerberos_door.h"

namespace smackd::cmd {

/// Two keytab doors: tickets for any HTTP/ name of ours, password checks by the node's own.
class NodeKerberos final : public services::KerberosDoor {
 public:
    NodeKerberos(auth::AcceptorConfig tickets, auth::AcceptorConfig passwords)
        : tickets_(std::move(tickets)), passwords_(std::move(passwords)) {}

    auth::AcceptOutcome accept(core::BytesView token, core::BytesView channel_binding) override {
        return tickets_.accept(token, channel_binding);
    }
    core::Result<auth::GssPeer> check_password(const std::string& principal,
                                               std::string_view password) override {
        return passwords_.check_password(principal, password);
    }

 private:
    services::KeytabDoor tickets_;
    services::KeytabDoor passwords_;
};

}  // namespace smackd::cmd
