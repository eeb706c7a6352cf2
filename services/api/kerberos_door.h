// What the API needs of Kerberos: is this ticket good, is this password right. Blocking; runs on workers.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "auth/acceptor.h"
#include "core/bytes.h"
#include "core/result.h"

namespace smackd::services {

/// Callable from several worker threads at once.
class KerberosDoor {
 public:
    virtual ~KerberosDoor() = default;
    /// One SPNEGO or Kerberos token from an Authorization header; `channel_binding` as GssAcceptor::accept
    /// takes it.
    virtual auth::AcceptOutcome accept(core::BytesView token, core::BytesView channel_binding) = 0;
    /// Checks a password at the KDC and a ticket against our keytab. May take as long as a silent KDC makes
    /// it. Errors of auth::check_password.
    virtual core::Result<auth::GssPeer> check_password(const std::string& principal,
                                                       std::string_view password) = 0;
};

/// Over a keytab file. Each thread works with an acceptor of its own, taken from those that are free: a
/// shared credential would serialise on its lock.
class KeytabDoor final : public KerberosDoor {
 public:
    /// `config.principal` is our HTTP/host@REALM.
    explicit KeytabDoor(auth::AcceptorConfig config) : config_(std::move(config)) {}

    auth::AcceptOutcome accept(core::BytesView token, core::BytesView channel_binding) override;
    core::Result<auth::GssPeer> check_password(const std::string& principal,
                                               std::string_view password) override;

 private:
    std::unique_ptr<auth::GssAcceptor> take();

    const auth::AcceptorConfig config_;
    std::mutex mutex_;
    std::vector<std::unique_ptr<auth::GssAcceptor>> free_;
};

}  // namespace smackd::services
