#include "services/api/kerberos_door.h"

#include "auth/initiator.h"

namespace smackd::services {

auth::AcceptOutcome KeytabDoor::accept(core::BytesView token, core::BytesView channel_binding) {
    std::unique_ptr<auth::GssAcceptor> acceptor = take();
    if (acceptor == nullptr) {
        auto opened = auth::GssAcceptor::open(config_);
        if (!opened) {
            auth::AcceptOutcome outcome;
            outcome.error = std::move(opened.error());
            outcome.reason = auth::RefusalReason::kUnreadableKeytab;
            return outcome;
        }
        acceptor = std::make_unique<auth::GssAcceptor>(std::move(*opened));
    }
    auth::AcceptOutcome outcome = acceptor->accept(token, channel_binding);
    // After trouble with our own keytab the next request opens it anew, so that a repaired file is seen.
    if (outcome.state == auth::AcceptOutcome::State::kRefused && outcome.error.code == core::Errc::kIo)
        return outcome;
    const std::scoped_lock lock(mutex_);
    free_.push_back(std::move(acceptor));
    return outcome;
}

core::Result<auth::GssPeer> KeytabDoor::check_password(const std::string& principal,
                                                       std::string_view password) {
    return auth::check_password({.principal = principal,
                                 .password = password,
                                 .keytab_path = config_.keytab_path,
                                 .server_principal = config_.principal});
}

std::unique_ptr<auth::GssAcceptor> KeytabDoor::take() {
    const std::scoped_lock lock(mutex_);
    if (free_.empty()) return nullptr;
    std::unique_ptr<auth::GssAcceptor> acceptor = std::move(free_.back());
    free_.pop_back();
    return acceptor;
}

}  // namespace smackd::services
