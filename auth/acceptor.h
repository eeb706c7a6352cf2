// The server's side of GSS-API: accepts Kerberos tickets, raw or in SPNEGO.
//
// accept() makes no network call but opens the keytab and the replay cache: run it on a worker. One acceptor
// per thread: a shared credential serialises on its mutex (measured) and is never needed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "auth/logon_info.h"
#include "core/bytes.h"
#include "core/result.h"

namespace smackd::auth {

inline constexpr size_t kGssTokenBytesMax = 64 * 1024;

struct AcceptorConfig {
    std::string keytab_path{};
    /// The principal that must be in the keytab, e.g. "HTTP/host@REALM"; empty: any key of the keytab.
    std::string principal{};
    /// File for the replay cache; empty: none (only where a channel binding is demanded).
    std::string replay_cache_path{};
};

/// What a refused client did wrong, for metrics and the refusal log.
enum class RefusalReason : uint8_t {
    kNone,
    kBadToken,
    kClockSkew,
    kWrongRealm,
    kNoKey,
    kStaleKey,
    kUnreadableKeytab,
    kReplay,
    kTicketExpired,
    kTicketNotYetValid,
    kBadBinding,
    kUnsupportedMechanism,
    kOther,
};
std::string_view refusal_reason_name(RefusalReason reason);

struct GssPeer {
    std::string principal;       ///< "alice@REALM"
    std::string service;         ///< whose key of ours the ticket was for: "HTTP/host@REALM"
    bool mutual = false;         ///< the reply proves us to the client
    bool channel_bound = false;  ///< both ends gave the same channel binding
    int64_t lifetime_s = 0;      ///< until the ticket ends
    int64_t signed_in_s = 0;     ///< when its user signed in at the KDC, Unix time of the KDC
    /// What the directory says of the user (the ticket's PAC). Only with a signature that fits our key: one
    /// without is as if there were none.
    std::optional<LogonInfo> logon{};
    std::string logon_problem{};  ///< why a signed one could not be read; else empty
};

struct AcceptOutcome {
    enum class State : uint8_t { kComplete, kContinue, kRefused };
    State state = State::kRefused;
    core::Bytes token;  ///< send to the client when not empty, also when refused (it carries KRB-ERROR)
    GssPeer peer;       ///< when kComplete
    core::Error error;  ///< when kRefused: kUnauthenticated, or kIo for our own keytab
    RefusalReason reason = RefusalReason::kNone;
};

/// One exchange that needs more than one token. Must not outlive its acceptor; used by one thread at a time.
class GssExchange {
 public:
    GssExchange(GssExchange&&) noexcept;
    GssExchange& operator=(GssExchange&&) noexcept;
    ~GssExchange();
    /// `channel_binding` is application data such as "tls-exporter:" + 32 bytes; empty: none.
    AcceptOutcome step(core::BytesView token, core::BytesView channel_binding = {});
    /// After kComplete: encrypts for, and decrypts from, the peer under the session's key.
    core::Result<core::Bytes> seal(core::BytesView plain);
    core::Result<core::Bytes> open(core::BytesView sealed);

 private:
    friend class GssAcceptor;
    struct State;
    explicit GssExchange(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

class GssAcceptor {
 public:
    /// Reads the keytab and takes a credential. Errors are those of Keytab::read and Keytab::require.
    static core::Result<GssAcceptor> open(AcceptorConfig config);
    GssAcceptor(GssAcceptor&&) noexcept;
    GssAcceptor& operator=(GssAcceptor&&) noexcept;
    ~GssAcceptor();

    /// The whole exchange in one token, as HTTP uses it. A client that wants a second round gets kContinue
    /// and is over with that (use begin() where the transport keeps state).
    AcceptOutcome accept(core::BytesView token, core::BytesView channel_binding = {});
    GssExchange begin();

 private:
    friend class GssExchange;
    struct State;
    explicit GssAcceptor(std::shared_ptr<State> state);
    /// Shared with exchanges in flight, which need the credential.
    std::shared_ptr<State> state_;
};

}  // namespace smackd::auth
