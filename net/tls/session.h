// What a finished TLS handshake agreed on: versions, ALPN, certificates, exported keys.
#pragma once

#include <optional>
#include <string>

#include "core/bytes.h"
#include "core/result.h"
#include "net/crypto/certificate.h"

namespace smackd::net {

class TlsSession {
 public:
    virtual ~TlsSession() = default;
    /// "TLSv1.3" or "TLSv1.2".
    virtual std::string version() const = 0;
    /// The protocol agreed by ALPN (RFC 7301); empty when none.
    virtual const std::string& alpn() const = 0;
    /// The host name the client asked for (RFC 6066 section 3); empty when none, and at the client's end.
    virtual const std::string& server_name() const = 0;
    /// The other end's certificate, checked against the configured CA; none when the client sent none, or
    /// when the configuration does not verify.
    virtual const std::optional<crypto::Certificate>& peer_certificate() const = 0;
    /// The server's own certificate (at a client: the peer's), DER; for tls-server-end-point bindings.
    virtual const core::Bytes& server_certificate_der() const = 0;
    /// Keying material for `label` (RFC 8446 section 7.5, RFC 5705), equal at both ends and nowhere else.
    virtual core::Result<core::Bytes> exporter(std::string_view label, core::BytesView context,
                                               size_t length) const = 0;

    /// "tls-exporter:" + 32 bytes (RFC 9266), the channel binding of GSS for our own peers.
    core::Result<core::Bytes> exporter_binding() const;
    /// "tls-server-end-point:" + SHA-256 of the server's certificate (RFC 5929), for curl and browsers.
    core::Bytes end_point_binding() const;
};

}  // namespace smackd::net
