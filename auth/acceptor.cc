#include "auth/acceptor.h"

#include <algorithm>
#include <array>
#include <vector>

#include "auth/gss_handles.h"
#include "auth/identity.h"
#include "auth/keytab.h"
#include "auth/ticket_diagnosis.h"

namespace smackd::auth {
namespace {

using core::Bytes;
using core::BytesView;
using core::Errc;
using core::Error;
using core::fail;
using core::Result;

constexpr int64_t kForgivenSkewSeconds = 300;  // libkrb5's default clockskew

struct Refused {
    RefusalReason reason;
    Error error;
};

template <class... Args>
Refused refused(RefusalReason reason, std::format_string<Args...> text, Args&&... args) {
    return {reason, Error{Errc::kUnauthenticated, std::format(text, std::forward<Args>(args)...), 0}};
}

std::string realm_of(std::string_view principal) {
    const size_t at = principal.rfind('@');
    return at == std::string_view::npos ? std::string() : std::string(principal.substr(at + 1));
}

Refused skew(const TicketDiagnosis& ticket) {
    const std::string ours = now_utc();
    const std::string theirs = ticket.client_time_s ? format_utc(*ticket.client_time_s) : "something else";
    return refused(
        RefusalReason::kClockSkew,
        "clock skew: the client's clock says {}, this server's says {}; they may differ by 5 minutes: "
        "set the wrong one right",
        theirs, ours);
}

Refused no_key(const TicketDiagnosis& ticket, const Keytab& keytab, const std::string& path) {
    const std::string realm = realm_of(ticket.server);
    const bool known_realm = std::ranges::any_of(
        keytab.entries(), [&](const KeytabEntry& entry) { return realm_of(entry.principal) == realm; });
    if (!known_realm && !keytab.entries().empty()) {
        const std::string ours = realm_of(keytab.entries().front().principal);
        return refused(RefusalReason::kWrongRealm,
                       "wrong realm: the ticket is for {}, this server is of realm {}; get a ticket there "
                       "(kinit NAME@{})",
                       ticket.server, ours, ours);
    }
    return refused(RefusalReason::kNoKey,
                   "the ticket is for {}, a name that the server's keytab {} lacks; it has: {}; use that "
                   "name, or add the "
                   "key",
                   ticket.server, path, keytab.describe());
}

Refused stale_key(const TicketDiagnosis& ticket, const Keytab& keytab) {
    return refused(
        RefusalReason::kStaleKey,
        "the ticket is sealed with a key that this server does not have ({}); get a new ticket (kdestroy, "
        "kinit); if that does not help, the server's keytab is older than the KDC's keys: it has {}",
        ticket.text, keytab.describe());
}

Refused explain_ticket(const TicketDiagnosis& ticket, const std::string& keytab_path) {
    auto keytab = Keytab::read(keytab_path);
    if (!keytab) return {RefusalReason::kUnreadableKeytab, std::move(keytab.error())};
    switch (ticket.code) {
        case KRB5KRB_AP_ERR_SKEW:
            return skew(ticket);
        case KRB5KRB_AP_ERR_TKT_EXPIRED:
            return refused(RefusalReason::kTicketExpired, "the ticket has expired; get a new one (kinit)");
        case KRB5KRB_AP_ERR_TKT_NYV:
            return refused(
                RefusalReason::kTicketNotYetValid,
                "the ticket is not valid yet; this server's clock says {}: compare it with the KDC's",
                now_utc());
        case KRB5KRB_AP_ERR_NOT_US:
        case KRB5_KT_NOTFOUND:
            return no_key(ticket, *keytab, keytab_path);
        case KRB5KRB_AP_ERR_BADKEYVER:
        case KRB5KRB_AP_ERR_NOKEY:
        case KRB5_KT_KVNONOTFOUND:
        case KRB5KRB_AP_ERR_BAD_INTEGRITY:
            return stale_key(ticket, *keytab);
        default:
            return refused(RefusalReason::kOther, "the ticket is refused: {}", ticket.text);
    }
}

// The ticket by itself is fine: then it is the exchange.
Refused explain_exchange(OM_uint32 major, const std::string& text) {
    if (GSS_ROUTINE_ERROR(major) == GSS_S_BAD_BINDINGS) {
        return refused(
            RefusalReason::kBadBinding,
            "the ticket was given over another connection than this one (channel binding differs): "
            "somebody may be in the middle");
    }
    if (GSS_ROUTINE_ERROR(major) == GSS_S_DUPLICATE_TOKEN || text.contains("replay")) {
        return refused(RefusalReason::kReplay,
                       "this authentication was used before (replay); each request needs a fresh one");
    }
    return refused(RefusalReason::kOther, "the ticket is refused: {}", text);
}

Refused explain(BytesView token, OM_uint32 major, OM_uint32 minor, const std::string& keytab_path) {
    if (token.contains(BytesView("NTLMSSP\0", 8))) {
        return refused(RefusalReason::kUnsupportedMechanism,
                       "the client offers NTLM, which is no Kerberos ticket; it has no ticket for this host "
                       "name: kinit, "
                       "and use the name that the server's keytab has");
    }
    const TicketDiagnosis ticket = diagnose_ticket(token, keytab_path);
    if (ticket.found && ticket.code != 0) return explain_ticket(ticket, keytab_path);
    const std::string text = gss_text(major, minor, krb5_mechanism());
    if (ticket.found) return explain_exchange(major, text);
    if (GSS_ROUTINE_ERROR(major) == GSS_S_BAD_MECH) {
        return refused(RefusalReason::kUnsupportedMechanism,
                       "the client offers no Kerberos ticket; kinit first");
    }
    return refused(RefusalReason::kBadToken, "malformed token: {}", text);
}

Result<std::string> display(gss_name_t name) {
    GssBuffer text;
    OM_uint32 minor = 0;
    const OM_uint32 major = gss_display_name(&minor, name, text.out(), nullptr);
    if (GSS_ERROR(major))
        return fail(Errc::kUnauthenticated, "peer name: {}", gss_text(major, minor, krb5_mechanism()));
    return std::string(text.view());
}

// libkrb5 shows the attributes of a PAC only when the server's signature in it was made with our key, and its
// name and time are the ticket's.
void read_logon(gss_name_t source, GssPeer& peer) {
    constexpr BytesView kLogonInfo = "urn:mspac:logon-info";
    gss_buffer_desc attribute = as_gss_buffer(kLogonInfo);
    GssBuffer value;
    GssBuffer shown;
    OM_uint32 minor = 0;
    int authenticated = 0;
    int complete = 0;
    int more = -1;
    const OM_uint32 major = gss_get_name_attribute(&minor, source, &attribute, &authenticated, &complete,
                                                   value.out(), shown.out(), &more);
    if (GSS_ERROR(major) || authenticated == 0) return;
    auto logon = parse_logon_info(value.view());
    if (logon) {
        peer.logon = std::move(*logon);
    } else {
        peer.logon_problem = std::move(logon.error().message);
    }
}

AcceptOutcome refusal(Refused why, Bytes token) {
    AcceptOutcome outcome;
    outcome.state = AcceptOutcome::State::kRefused;
    outcome.token = std::move(token);
    outcome.error = std::move(why.error);
    outcome.reason = why.reason;
    return outcome;
}

}  // namespace

std::string_view refusal_reason_name(RefusalReason reason) {
    switch (reason) {
        case RefusalReason::kNone:
            return "none";
        case RefusalReason::kBadToken:
            return "bad_token";
        case RefusalReason::kClockSkew:
            return "clock_skew";
        case RefusalReason::kWrongRealm:
            return "wrong_realm";
        case RefusalReason::kNoKey:
            return "no_key";
        case RefusalReason::kStaleKey:
            return "stale_key";
        case RefusalReason::kUnreadableKeytab:
            return "unreadable_keytab";
        case RefusalReason::kReplay:
            return "replay";
        case RefusalReason::kTicketExpired:
            return "ticket_expired";
        case RefusalReason::kTicketNotYetValid:
            return "ticket_not_yet_valid";
        case RefusalReason::kBadBinding:
            return "bad_binding";
        case RefusalReason::kUnsupportedMechanism:
            return "unsupported_mechanism";
        case RefusalReason::kOther:
            return "other";
    }
    return "other";
}

struct GssAcceptor::State {
    AcceptorConfig config;
    GssCredential credential;
};

struct GssExchange::State {
    std::shared_ptr<GssAcceptor::State> acceptor;
    GssContext context;

    std::string own_name() const {
        GssName name;
        OM_uint32 minor = 0;
        if (GSS_ERROR(gss_inquire_context(&minor, context.get(), nullptr, name.out(), nullptr, nullptr,
                                          nullptr, nullptr, nullptr))) {
            return {};
        }
        return display(name.get()).value_or(std::string());
    }

    int64_t signed_in() const {
        OM_uint32 minor = 0;
        krb5_timestamp time = 0;
        if (GSS_ERROR(gsskrb5_extract_authtime_from_sec_context(&minor, context.get(), &time))) return 0;
        return static_cast<uint32_t>(time);
    }

    AcceptOutcome completed(gss_name_t source, OM_uint32 flags, OM_uint32 lifetime, Bytes token) const {
        auto principal = display(source);
        if (!principal)
            return refusal({RefusalReason::kOther, std::move(principal.error())}, std::move(token));
        AcceptOutcome outcome;
        outcome.state = AcceptOutcome::State::kComplete;
        outcome.token = std::move(token);
        outcome.peer.principal = std::move(*principal);
        outcome.peer.service = own_name();
        outcome.peer.mutual = (flags & GSS_C_MUTUAL_FLAG) != 0;
        outcome.peer.channel_bound = (flags & GSS_C_CHANNEL_BOUND_FLAG) != 0;
        // The library counts the clock skew it would forgive as life.
        outcome.peer.lifetime_s = std::max<int64_t>(static_cast<int64_t>(lifetime) - kForgivenSkewSeconds, 0);
        outcome.peer.signed_in_s = signed_in();
        read_logon(source, outcome.peer);
        return outcome;
    }
};

Result<Bytes> GssExchange::seal(BytesView plain) {
    return gss_seal(state_->context.get(), plain);
}
Result<Bytes> GssExchange::open(BytesView sealed) {
    return gss_open(state_->context.get(), sealed);
}

GssExchange::GssExchange(std::unique_ptr<State> state) : state_(std::move(state)) {}
GssExchange::GssExchange(GssExchange&&) noexcept = default;
GssExchange& GssExchange::operator=(GssExchange&&) noexcept = default;
GssExchange::~GssExchange() = default;

AcceptOutcome GssExchange::step(BytesView token, BytesView channel_binding) {
    if (token.empty() || token.size() > kGssTokenBytesMax) {
        return refusal(refused(RefusalReason::kBadToken, "token: must have 1 to {} bytes", kGssTokenBytesMax),
                       {});
    }
    gss_buffer_desc input = as_gss_buffer(token);
    gss_channel_bindings_struct bindings = as_channel_bindings(channel_binding);
    GssBuffer output;
    GssName source;
    OM_uint32 minor = 0;
    OM_uint32 flags = 0;
    OM_uint32 lifetime = 0;
    const OM_uint32 major =
        gss_accept_sec_context(&minor, state_->context.out(), state_->acceptor->credential.get(), &input,
                               channel_binding.empty() ? GSS_C_NO_CHANNEL_BINDINGS : &bindings, source.out(),
                               nullptr, output.out(), &flags, &lifetime, nullptr);
    Bytes reply(output.view());
    if (GSS_ERROR(major)) {
        return refusal(explain(token, major, minor, state_->acceptor->config.keytab_path), std::move(reply));
    }
    if ((major & GSS_S_CONTINUE_NEEDED) == 0)
        return state_->completed(source.get(), flags, lifetime, std::move(reply));
    AcceptOutcome outcome;
    outcome.state = AcceptOutcome::State::kContinue;
    outcome.token = std::move(reply);
    return outcome;
}

GssAcceptor::GssAcceptor(std::shared_ptr<State> state) : state_(std::move(state)) {}
GssAcceptor::GssAcceptor(GssAcceptor&&) noexcept = default;
GssAcceptor& GssAcceptor::operator=(GssAcceptor&&) noexcept = default;
GssAcceptor::~GssAcceptor() = default;

Result<GssAcceptor> GssAcceptor::open(AcceptorConfig config) {
    TRY_ASSIGN(const Keytab keytab, Keytab::read(config.keytab_path));
    GssName name;
    if (!config.principal.empty()) {
        TRY(keytab.require(config.principal, config.keytab_path));
        TRY_ASSIGN(name, import_gss_name(config.principal, const_cast<gss_OID>(GSS_KRB5_NT_PRINCIPAL_NAME)));
    }
    const std::string keytab_name = "FILE:" + config.keytab_path;
    const std::string replay_name =
        config.replay_cache_path.empty() ? std::string("none:") : "file2:" + config.replay_cache_path;
    std::array<gss_key_value_element_desc, 2> elements = {
        {{"keytab", keytab_name.c_str()}, {"rcache", replay_name.c_str()}}};
    const gss_key_value_set_desc store = {elements.size(), elements.data()};
    auto state = std::make_shared<State>();
    state->config = std::move(config);
    OM_uint32 minor = 0;
    OM_uint32 major = gss_acquire_cred_from(&minor, name.get(), GSS_C_INDEFINITE, accepted_mechanisms(),
                                            GSS_C_ACCEPT, &store, state->credential.out(), nullptr, nullptr);
    // Within SPNEGO only krb5: neither IAKERB nor NegoEx.
    if (!GSS_ERROR(major))
        major = gss_set_neg_mechs(&minor, state->credential.get(), negotiated_mechanisms());
    if (GSS_ERROR(major)) {
        return fail(Errc::kIo, "keytab {}: {}", state->config.keytab_path,
                    gss_text(major, minor, krb5_mechanism()));
    }
    return GssAcceptor(std::move(state));
}

AcceptOutcome GssAcceptor::accept(BytesView token, BytesView channel_binding) {
    return begin().step(token, channel_binding);
}

GssExchange GssAcceptor::begin() {
    auto state = std::make_unique<GssExchange::State>();
    state->acceptor = state_;
    return GssExchange(std::move(state));
}

}  // namespace smackd::auth
