// What TlsConfig holds of mbedTLS. Private to net/tls.
#pragma once

#include <mbedtls/ssl.h>
#include <mbedtls/ssl_ticket.h>

#include <string>
#include <vector>

#include "net/crypto/mbed.h"
#include "net/tls/config.h"
#include "net/tls/tickets.h"

namespace smackd::net {

/// A certificate chain with its key.
struct OwnCertificate {
    std::string server_name;  ///< empty: the default
    crypto::OwnedCrt chain = crypto::make_crt();
    crypto::OwnedPk key = crypto::make_pk();
    core::BytesView der() const { return crypto::view(chain->raw.p, chain->raw.len); }
};

struct TlsTickets::Native {
    Native() { mbedtls_ssl_ticket_init(&context); }
    ~Native() { mbedtls_ssl_ticket_free(&context); }
    Native(const Native&) = delete;
    Native& operator=(const Native&) = delete;

    mbedtls_ssl_ticket_context context{};
};

struct TlsConfig::Native {
    Native() { mbedtls_ssl_config_init(&config); }
    ~Native() { mbedtls_ssl_config_free(&config); }
    Native(const Native&) = delete;
    Native& operator=(const Native&) = delete;

    mbedtls_ssl_config config{};
    OwnCertificate own;
    std::vector<OwnCertificate> by_name;
    crypto::OwnedCrt authorities = crypto::make_crt();
    std::vector<std::string> alpn;
    std::vector<const char*> alpn_pointers;  // into alpn, ended by nullptr
    std::shared_ptr<TlsTickets> tickets;
    bool is_server = false;
    bool verifies = false;
};

}  // namespace smackd::net
