// A certificate authority and TLS configurations for tests.
#pragma once

#include <memory>
#include <string>

#include "net/crypto/certificate.h"
#include "net/system_clock.h"
#include "net/tls/config.h"

namespace smackd::net::test {

inline constexpr int64_t kHourMs = 3'600'000;

struct Identity {
    std::string certificate_pem;
    std::string key_pem;
};

class Authority {
 public:
    Authority()
        : key_(crypto::KeyPair::generate().value()),
          pem_(crypto::make_ca(key_, "test CA", at(-1000), at(1000)).value()) {}

    const std::string& pem() const { return pem_; }

    /// A leaf valid from and to so many hours from now.
    Identity issue(crypto::AltNames names, int64_t from_hours = -1, int64_t to_hours = 24) const {
        crypto::KeyPair key = crypto::KeyPair::generate().value();
        crypto::Issue issue;
        issue.common_name = "leaf";
        issue.names = std::move(names);
        issue.not_before = at(from_hours);
        issue.not_after = at(to_hours);
        return {crypto::issue_certificate(key_, pem_, key.public_key(), issue).value(), key.to_pem()};
    }

    TlsServerOptions server_options(const Identity& identity, ClientCertificates clients) const {
        TlsServerOptions options;
        options.certificate_pem = identity.certificate_pem;
        options.key_pem = identity.key_pem;
        options.clients = clients;
        if (clients != ClientCertificates::kNone) options.client_ca_pem = pem_;
        return options;
    }
    TlsClientOptions client_options(const Identity& identity) const {
        TlsClientOptions options;
        options.ca_pem = pem_;
        options.certificate_pem = identity.certificate_pem;
        options.key_pem = identity.key_pem;
        return options;
    }

 private:
    static core::WallTime at(int64_t hours) {
        return core::WallTime{SystemClock().wall().unix_ms + hours * kHourMs};
    }

    crypto::KeyPair key_;
    std::string pem_;
};

}  // namespace smackd::net::test
