// The member's side of joining: TLS not yet trusted -> Kerberos both ways, bound to that TLS session -> the
// cluster's decision -> a certificate.
//
//     machine                                                  member
//     TLS 1.3, ALPN "smack-join/1", no certificate checked
//                                                              hello {protocol, time}
//     AP-REQ, mutual, bound to the TLS exporter (RFC 9266)
//                                                              AP-REP: the member holds smack/SEED's key and
//                                                              ends this very TLS session; the machine is who
//                                                              it says
//     gss_wrap(JoinRequest: CSR of a fresh key, nonce, ...)
//                                                              gss_wrap(JoinAnswer: certificate, CA, servers,
//                                                              secrets)
//
// Who proves nothing learns our clock and that Kerberos is wanted. A renewal is the same over mutual TLS;
// only there a request without a ticket is taken (no KDC answers), and apply bounds for how long.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "auth/acceptor.h"
#include "auth/join_frame.h"
#include "auth/refusal_log.h"
#include "core/clock.h"
#include "core/cluster/join_decision.h"
#include "core/logger.h"
#include "net/crypto/certificate.h"
#include "net/loop.h"
#include "net/scope.h"
#include "net/worker_pool.h"

namespace smackd::auth {

struct JoinLimits {
    core::Duration exchange = std::chrono::seconds(10);   ///< from the connection to the proof
    core::Duration admission = std::chrono::seconds(20);  ///< from the request to the answer
    size_t exchanges = 64;                                ///< at once
    size_t exchanges_per_host = 8;                        ///< at once from one address
    uint32_t attempts_per_host_minute = 120;
    size_t hosts = 4096;  ///< remembered for the above
};

/// What a machine has shown when it asks.
struct JoinProof {
    std::string machine;    ///< HOST of smack/HOST@REALM, or of the node's certificate
    std::string principal;  ///< empty without Kerberos
    std::string source;     ///< "10.0.0.7:41234"
    bool kerberos = false;
    /// Of the TLS session, signed by the cluster's CA; on renewals.
    std::optional<net::crypto::Certificate> certificate;
};

using core::cluster::JoinRefused;
using core::cluster::JoinResult;

/// Proof and request as core::cluster::decide_join takes them.
struct JoinAsk {
    core::cluster::JoinClaim claim;
    std::string public_key_pem;  ///< that is to be certified
};
/// Pure: "bad_request" when the request's PKCS #10 is no good.
JoinResult<JoinAsk> read_ask(const JoinProof& proof, const wire::JoinRequest& request);

/// The cluster's decision; lives elsewhere (registry, CA, consensus).
class JoinAuthority {
 public:
    virtual ~JoinAuthority() = default;
    /// Decides and commits; the answer's nonce is filled in by the caller.
    virtual net::Task<JoinResult<wire::JoinAnswer>> admit(JoinProof proof, wire::JoinRequest request) = 0;
    /// The machine of the node that shows this certificate; kDenied when the cluster does not take it.
    virtual core::Result<std::string> machine_of(const net::crypto::Certificate& certificate) = 0;
    /// Every refusal, once.
    virtual void refused(Refusal refusal) = 0;
};

struct JoinServerOptions {
    std::string keytab;  ///< must hold smack/ keys
    std::string realm;
    JoinLimits limits;
};

/// Loop thread only.
class JoinServer {
 public:
    /// All outlive it.
    JoinServer(net::Loop& loop, net::WorkerPool& workers, core::Clock& clock, JoinServerOptions options,
               JoinAuthority& authority);
    /// No serve() is running.
    ~JoinServer();
    JoinServer(const JoinServer&) = delete;
    JoinServer& operator=(const JoinServer&) = delete;

    /// Serves one connection and closes it. The stream is TLS.
    net::Task<void> serve(std::unique_ptr<net::Stream> stream);

 private:
    struct Exchange;
    struct Host {
        size_t running = 0;
        int64_t window_ms = 0;  // when the counted minute began
        uint32_t attempts = 0;
    };
    core::Result<void> enter(const std::string& host);
    void leave(const std::string& host);
    net::Task<JoinResult<void>> run(net::Stream& stream, Exchange& exchange);
    net::Task<core::Result<void>> prove(net::Stream& stream, Exchange& exchange);
    net::Task<core::Result<AcceptOutcome>> accept(Exchange& exchange, core::Bytes token, core::Bytes binding);
    net::Task<core::Result<void>> take_ticket(net::Stream& stream, Exchange& exchange, core::Bytes token);
    net::Task<JoinResult<wire::JoinAnswer>> decide(Exchange& exchange, wire::JoinRequest request);
    net::Task<void> refuse(net::Stream& stream, const Exchange& exchange, JoinRefused why);

    net::Loop& loop_;
    net::WorkerPool& workers_;
    core::Clock& clock_;
    JoinServerOptions options_;
    JoinAuthority& authority_;
    std::map<std::string, Host> hosts_;
    size_t running_ = 0;
};

/// Pure: machine name of "smack/HOST@REALM" in `realm`; kDenied says what the principal is instead.
JoinResult<std::string> machine_of_principal(std::string_view principal, std::string_view realm);
/// Pure: what somebody who has not proved who he is may be told of a refused ticket. Nothing of our keytab.
std::string public_refusal(RefusalReason reason, core::WallTime now);
/// Pure: kUnauthenticated names both clocks when they differ by more than kJoinSkewMs.
core::Result<void> check_clocks(int64_t theirs_ms, int64_t ours_ms);

}  // namespace smackd::auth
