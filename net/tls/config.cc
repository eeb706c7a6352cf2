#include "net/tls/config.h"

#include "net/tls/native.h"
#include "net/tls/tls_stream.h"

namespace smackd::net {

using core::Errc;
using core::Result;

namespace {

// Forward secrecy and AEAD only; the TLS 1.3 suites first. ChaCha20 is for clients without AES instructions.
constexpr int kSuites[] = {MBEDTLS_TLS1_3_AES_128_GCM_SHA256,
                           MBEDTLS_TLS1_3_AES_256_GCM_SHA384,
                           MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,
                           MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
                           MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
                           MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
                           MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
                           MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
                           MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
                           0};

Result<void> apply_defaults(TlsConfig::Native& native, bool server, TlsVersions versions) {
    native.is_server = server;
    int status =
        mbedtls_ssl_config_defaults(&native.config, server ? MBEDTLS_SSL_IS_SERVER : MBEDTLS_SSL_IS_CLIENT,
                                    MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
    if (status != 0) return crypto::fail_mbed(Errc::kInvalid, status, "TLS defaults");
    mbedtls_ssl_config* config = &native.config;
    mbedtls_ssl_conf_rng(config, crypto::kernel_random, nullptr);
    mbedtls_ssl_conf_ciphersuites(config, kSuites);
    bool old = versions != TlsVersions::kOnly13;
    bool recent = versions != TlsVersions::kOnly12;
    mbedtls_ssl_conf_min_tls_version(config, old ? MBEDTLS_SSL_VERSION_TLS1_2 : MBEDTLS_SSL_VERSION_TLS1_3);
    mbedtls_ssl_conf_max_tls_version(config,
                                     recent ? MBEDTLS_SSL_VERSION_TLS1_3 : MBEDTLS_SSL_VERSION_TLS1_2);
    mbedtls_ssl_conf_renegotiation(config, MBEDTLS_SSL_RENEGOTIATION_DISABLED);
    // No tickets, and no pre-shared keys at all, unless apply_tickets says otherwise.
    mbedtls_ssl_conf_tls13_key_exchange_modes(config, MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL);
    if (server) {
        mbedtls_ssl_conf_new_session_tickets(config, 0);
    } else {
        mbedtls_ssl_conf_session_tickets(config, MBEDTLS_SSL_SESSION_TICKETS_DISABLED);
    }
    return {};
}

Result<OwnCertificate> read_own(const std::string& certificate, const std::string& key) {
    OwnCertificate own;
    TRY_ASSIGN(own.chain, crypto::parse_chain(certificate, "own certificate"));
    TRY_ASSIGN(own.key, crypto::parse_private_key(key));
    int status = mbedtls_pk_check_pair(&own.chain->pk, own.key.get(), crypto::kernel_random, nullptr);
    if (status != 0) return core::fail(Errc::kInvalid, "the private key does not belong to the certificate");
    return own;
}

Result<void> apply_own_certificate(TlsConfig::Native& native, const std::string& certificate,
                                   const std::string& key) {
    TRY_ASSIGN(native.own, read_own(certificate, key));
    int status = mbedtls_ssl_conf_own_cert(&native.config, native.own.chain.get(), native.own.key.get());
    if (status != 0) return crypto::fail_mbed(Errc::kInvalid, status, "own certificate");
    return {};
}

Result<void> apply_named_certificates(TlsConfig::Native& native,
                                      const std::vector<NamedCertificate>& certificates) {
    for (const NamedCertificate& named : certificates) {
        auto own = read_own(named.certificate_pem, named.key_pem);
        if (!own) return core::pass(std::move(own), named.server_name);
        own->server_name = named.server_name;
        native.by_name.push_back(std::move(*own));
    }
    // The stream notes the name and chooses: see TlsStream::on_server_name.
    mbedtls_ssl_conf_sni(&native.config, TlsStream::on_server_name, &native);
    return {};
}

Result<void> apply_tickets(TlsConfig::Native& native, std::shared_ptr<TlsTickets> tickets) {
    if (!tickets) return {};
    if (native.verifies)
        return core::fail(Errc::kInvalid, "TLS server: no session tickets where clients show certificates");
    native.tickets = std::move(tickets);
    mbedtls_ssl_conf_session_tickets_cb(&native.config, mbedtls_ssl_ticket_write, mbedtls_ssl_ticket_parse,
                                        &native.tickets->native().context);
    mbedtls_ssl_conf_new_session_tickets(&native.config, kTicketsPerHandshake);
    // A resumed session has fresh keys of its own: (EC)DHE stays.
    mbedtls_ssl_conf_tls13_key_exchange_modes(&native.config,
                                              MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL_ALL);
    return {};
}

Result<void> apply_authorities(TlsConfig::Native& native, const std::string& pem) {
    TRY_ASSIGN(native.authorities, crypto::parse_chain(pem, "CA certificate"));
    mbedtls_ssl_conf_ca_chain(&native.config, native.authorities.get(), nullptr);
    return {};
}

Result<void> apply_alpn(TlsConfig::Native& native, std::vector<std::string> protocols) {
    if (protocols.empty()) return {};
    native.alpn = std::move(protocols);
    for (const std::string& protocol : native.alpn) native.alpn_pointers.push_back(protocol.c_str());
    native.alpn_pointers.push_back(nullptr);
    int status = mbedtls_ssl_conf_alpn_protocols(&native.config, native.alpn_pointers.data());
    if (status != 0) return crypto::fail_mbed(Errc::kInvalid, status, "ALPN protocols");
    return {};
}

}  // namespace

TlsConfig::TlsConfig(std::unique_ptr<Native> native) : native_(std::move(native)) {}
TlsConfig::~TlsConfig() = default;

Result<std::shared_ptr<const TlsConfig>> TlsConfig::server(TlsServerOptions options) {
    auto native = std::make_unique<Native>();
    TRY(apply_defaults(*native, true, options.versions));
    TRY(apply_own_certificate(*native, options.certificate_pem, options.key_pem));
    TRY(apply_named_certificates(*native, options.by_name));
    TRY(apply_alpn(*native, std::move(options.alpn)));
    native->verifies = options.clients != ClientCertificates::kNone;
    if (native->verifies) {
        TRY(apply_authorities(*native, options.client_ca_pem));
    }
    TRY(apply_tickets(*native, std::move(options.tickets)));
    // With OPTIONAL mbedTLS lets a wrong certificate pass and sets flags; TlsStream::finish looks at them.
    int mode = MBEDTLS_SSL_VERIFY_NONE;
    if (options.clients == ClientCertificates::kRequired) mode = MBEDTLS_SSL_VERIFY_REQUIRED;
    if (options.clients == ClientCertificates::kOptional) mode = MBEDTLS_SSL_VERIFY_OPTIONAL;
    mbedtls_ssl_conf_authmode(&native->config, mode);
    return std::make_shared<const TlsConfig>(std::move(native));
}

Result<std::shared_ptr<const TlsConfig>> TlsConfig::client(TlsClientOptions options) {
    auto native = std::make_unique<Native>();
    TRY(apply_defaults(*native, false, options.versions));
    if (!options.certificate_pem.empty()) {
        TRY(apply_own_certificate(*native, options.certificate_pem, options.key_pem));
    }
    TRY(apply_alpn(*native, std::move(options.alpn)));
    native->verifies = options.verify;
    if (options.verify) {
        if (options.ca_pem.empty())
            return core::fail(Errc::kInvalid, "TLS client: ca_pem is empty and verify is on");
        TRY(apply_authorities(*native, options.ca_pem));
    }
    mbedtls_ssl_conf_authmode(&native->config,
                              options.verify ? MBEDTLS_SSL_VERIFY_REQUIRED : MBEDTLS_SSL_VERIFY_OPTIONAL);
    return std::make_shared<const TlsConfig>(std::move(native));
}

}  // namespace smackd::net
