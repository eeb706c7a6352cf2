#include "cmd/smackd/node/tls_identities.h"

#include "auth/join_frame.h"
#include "net/rpc/peer_transport.h"

namespace smackd::cmd {

core::Result<std::unique_ptr<TlsIdentities>> TlsIdentities::make(Parts parts, const auth::ClusterCa& ca,
                                                                 const core::Clock& clock,
                                                                 core::Logger logger) {
    std::unique_ptr<TlsIdentities> made(new TlsIdentities(std::move(parts), ca, clock, std::move(logger)));
    TRY(made->issue_node());
    TRY(made->issue_api());
    return made;
}

TlsIdentities::TlsIdentities(Parts parts, const auth::ClusterCa& ca, const core::Clock& clock,
                             core::Logger logger)
    : parts_(std::move(parts)), ca_(ca), clock_(clock), logger_(std::move(logger)) {}

TlsIdentities::Config TlsIdentities::get(const Config& config) const {
    std::lock_guard lock(mutex_);
    return config;
}

core::Result<void> TlsIdentities::issue_node() {
    TRY_ASSIGN(node_, node_tls_identity(parts_.directory, ca_, parts_.node, clock_.wall()));
    net::TlsServerOptions server;
    server.certificate_pem = node_.certificate_pem;
    server.key_pem = node_.key_pem;
    server.client_ca_pem = ca_.certificate_pem();
    // Machines that join have none yet; the door demands one of all others.
    server.clients = net::ClientCertificates::kOptional;
    server.alpn = {std::string(net::rpc::kPeerAlpn), std::string(auth::kJoinAlpn)};
    server.versions = net::TlsVersions::kOnly13;
    net::TlsClientOptions client;
    client.ca_pem = ca_.certificate_pem();
    client.certificate_pem = node_.certificate_pem;
    client.key_pem = node_.key_pem;
    client.alpn = {std::string(net::rpc::kPeerAlpn)};
    client.versions = net::TlsVersions::kOnly13;
    TRY_ASSIGN(Config as_server, net::TlsConfig::server(std::move(server)));
    TRY_ASSIGN(Config as_client, net::TlsConfig::client(std::move(client)));
    std::lock_guard lock(mutex_);
    peer_server_ = std::move(as_server);
    peer_client_ = std::move(as_client);
    return {};
}

core::Result<void> TlsIdentities::issue_api() {
    TRY_ASSIGN(api_, api_tls_identity(parts_.directory, ca_, parts_.api_names, clock_.wall()));
    net::TlsServerOptions server;
    server.certificate_pem = api_.certificate_pem;
    server.key_pem = api_.key_pem;
    server.alpn = {"http/1.1"};
    TRY_ASSIGN(Config config, net::TlsConfig::server(std::move(server)));
    std::lock_guard lock(mutex_);
    api_server_ = std::move(config);
    return {};
}

bool TlsIdentities::is_old(const TlsIdentity& identity) const {
    auto decision = auth::decide_renewal(identity.not_before_ms, identity.not_after_ms, clock_.wall(), 0);
    return decision.action != auth::RenewalDecision::Action::kNone;
}

void TlsIdentities::renew() {
    struct Renewal {
        const char* what;
        const TlsIdentity& identity;
        core::Result<void> (TlsIdentities::*issue)();
    };
    for (const Renewal& renewal : {Renewal{"node", node_, &TlsIdentities::issue_node},
                                   Renewal{"api", api_, &TlsIdentities::issue_api}}) {
        if (!is_old(renewal.identity)) continue;
        auto issued = (this->*renewal.issue)();
        if (issued) {
            logger_.info("certificate renewed", {{"certificate", renewal.what}});
        } else {
            logger_.error("certificate not renewed",
                          {{"certificate", renewal.what}, {"error", issued.error().message}});
        }
    }
}

}  // namespace smackd::cmd
