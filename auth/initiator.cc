#include "auth/initiator.h"

#include <array>
#include <cerrno>

#include "auth/gss_handles.h"
#include "auth/identity.h"
#include "auth/keytab.h"
#include "auth/krb5_handles.h"
#include "auth/sealing.h"
#include "auth/ticket_diagnosis.h"

namespace smackd::auth {
namespace {

using core::Bytes;
using core::BytesView;
using core::Errc;
using core::fail;
using core::Result;

constexpr krb5_deltat kPasswordCheckLifeSeconds = 300;

using KrbCredentialOptions = KrbOwned<krb5_get_init_creds_opt*, krb5_get_init_creds_opt_free>;

/// Tickets as krb5_get_init_creds_* gives them.
class Credentials {
 public:
    explicit Credentials(const KrbContext& context) : context_(context.get()) {}
    Credentials(const Credentials&) = delete;
    Credentials& operator=(const Credentials&) = delete;
    ~Credentials() { krb5_free_cred_contents(context_, &raw_); }
    krb5_creds* raw() { return &raw_; }

 private:
    krb5_context context_;
    krb5_creds raw_{};
};

// What the KDC said, as something a person can act on.
std::unexpected<core::Error> explain_login(const KrbContext& context, krb5_error_code code,
                                           const std::string& principal) {
    const std::string realm = principal.substr(principal.rfind('@') + 1);
    switch (code) {
        // One text for all: who asks must not learn which users exist.
        case KRB5KDC_ERR_C_PRINCIPAL_UNKNOWN:
        case KRB5KDC_ERR_PREAUTH_FAILED:
        case KRB5KRB_AP_ERR_BAD_INTEGRITY:
            return fail(
                Errc::kUnauthenticated,
                "wrong name or key: {} is unknown to realm {}, or the password or keytab does not fit",
                principal, realm);
        case KRB5KDC_ERR_CLIENT_REVOKED:
            return fail(Errc::kUnauthenticated, "{} is disabled; ask an administrator", principal);
        case KRB5KDC_ERR_NAME_EXP:
            return fail(Errc::kUnauthenticated, "the account of {} has expired", principal);
        case KRB5KDC_ERR_KEY_EXP:
            return fail(Errc::kUnauthenticated, "the password of {} has expired", principal);
        case KRB5KRB_AP_ERR_SKEW:
            return fail(Errc::kUnauthenticated,
                        "clock skew: this machine's clock says {}, the KDC's differs by more than 5 minutes",
                        now_utc());
        case KRB5_KDC_UNREACH:
        case KRB5_REALM_UNKNOWN:
        case KRB5_REALM_CANT_RESOLVE:
            return fail(Errc::kUnavailable,
                        "no KDC of realm {} answers; check the kdc lines of the file that KRB5_CONFIG names",
                        realm);
        case EAGAIN:  // libkrb5's words for EAI_AGAIN and EAI_NONAME
        case EADDRNOTAVAIL:
            return fail(
                Errc::kUnavailable,
                "the name of a KDC of realm {} cannot be looked up; see the kdc lines of the file that "
                "KRB5_CONFIG names, /etc/hosts and DNS",
                realm);
        default:
            return context.fail(Errc::kUnauthenticated, code, "sign-in of " + principal);
    }
}

std::unexpected<core::Error> no_ticket(const std::string& cache) {
    return fail(Errc::kUnauthenticated,
                "no ticket in {}; get one with kinit, or smackd login with a keytab or password", cache);
}

Result<KrbCredentialOptions> login_options(const KrbContext& context) {
    KrbCredentialOptions options(context);
    if (const auto code = krb5_get_init_creds_opt_alloc(context.get(), options.out()); code != 0) {
        return context.fail(Errc::kIo, code, "sign-in");
    }
    krb5_get_init_creds_opt_set_forwardable(options.get(), 0);
    krb5_get_init_creds_opt_set_proxiable(options.get(), 0);
    return options;
}

Result<void> check_password_text(std::string_view password) {
    if (password.empty() || password.size() > 1024 || password.contains('\0')) {
        return fail(Errc::kUnauthenticated, "password: must have 1 to 1024 bytes, none of them zero");
    }
    return {};
}

Result<void> fetch_with_password(const KrbContext& context, krb5_principal client, const std::string& name,
                                 const std::string& password, krb5_get_init_creds_opt* options,
                                 krb5_creds* out) {
    // A prompter of nothing: whatever the KDC asks beyond the password is not answered.
    const auto code = krb5_get_init_creds_password(context.get(), out, client, password.c_str(), nullptr,
                                                   nullptr, 0, nullptr, options);
    if (code != 0) return explain_login(context, code, name);
    return {};
}

}  // namespace

struct ClientCredential::State {
    KrbContext context;
    KrbCache cache;
    std::string cache_name;
    std::string principal;

    explicit State(KrbContext krb) : context(std::move(krb)), cache(context) {}
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() {
        // The tickets of a memory cache would stay in the process for ever.
        if (cache.get() != nullptr && cache_name.starts_with("MEMORY:"))
            krb5_cc_destroy(context.get(), cache.release());
    }

    Result<void> note_cache_name() {
        char* name = nullptr;
        if (const auto code = krb5_cc_get_full_name(context.get(), cache.get(), &name); code != 0) {
            return context.fail(Errc::kIo, code, "ticket cache");
        }
        cache_name = name;
        krb5_free_string(context.get(), name);
        return {};
    }

    Result<void> keep(krb5_principal client, krb5_creds* credentials) {
        auto code = krb5_cc_new_unique(context.get(), "MEMORY", nullptr, cache.out());
        if (code == 0) code = krb5_cc_initialize(context.get(), cache.get(), client);
        if (code == 0) code = krb5_cc_store_cred(context.get(), cache.get(), credentials);
        if (code != 0) return context.fail(Errc::kIo, code, "ticket cache");
        return note_cache_name();
    }
};

ClientCredential::ClientCredential(std::unique_ptr<State> state) : state_(std::move(state)) {}
ClientCredential::ClientCredential(ClientCredential&&) noexcept = default;
ClientCredential& ClientCredential::operator=(ClientCredential&&) noexcept = default;
ClientCredential::~ClientCredential() = default;

const std::string& ClientCredential::principal() const {
    return state_->principal;
}

Result<ClientCredential> ClientCredential::from_cache(const std::string& cache) {
    TRY_ASSIGN(KrbContext context, KrbContext::make());
    auto state = std::make_unique<State>(std::move(context));
    const KrbContext& krb = state->context;
    const auto code = cache.empty() ? krb5_cc_default(krb.get(), state->cache.out())
                                    : krb5_cc_resolve(krb.get(), cache.c_str(), state->cache.out());
    if (code != 0) return krb.fail(Errc::kInvalid, code, "ticket cache " + cache);
    TRY(state->note_cache_name());
    KrbPrincipal client(krb);
    if (krb5_cc_get_principal(krb.get(), state->cache.get(), client.out()) != 0)
        return no_ticket(state->cache_name);
    TRY_ASSIGN(state->principal, unparse_principal(krb, client.get()));
    return ClientCredential(std::move(state));
}

Result<ClientCredential> ClientCredential::from_keytab(const std::string& path,
                                                       const std::string& principal) {
    // krb5 alone would only say "No credentials cache found" for a principal that the keytab lacks.
    TRY_ASSIGN(const Keytab keytab, Keytab::read(path));
    if (keytab.entries().empty()) return fail(Errc::kNotFound, "keytab {} holds no key", path);
    const std::string name = principal.empty() ? keytab.entries().front().principal : principal;
    TRY(keytab.require(name, path));
    TRY_ASSIGN(KrbContext context, KrbContext::make());
    auto state = std::make_unique<State>(std::move(context));
    const KrbContext& krb = state->context;
    TRY_ASSIGN(const KrbPrincipal client, parse_principal(krb, name));
    TRY_ASSIGN(const KrbCredentialOptions options, login_options(krb));
    KrbKeytab keys(krb);
    if (const auto code = krb5_kt_resolve(krb.get(), ("FILE:" + path).c_str(), keys.out()); code != 0) {
        return krb.fail(Errc::kIo, code, "keytab " + path);
    }
    Credentials credentials(krb);
    const auto code = krb5_get_init_creds_keytab(krb.get(), credentials.raw(), client.get(), keys.get(), 0,
                                                 nullptr, options.get());
    if (code != 0) return explain_login(krb, code, name);
    TRY(state->keep(client.get(), credentials.raw()));
    state->principal = name;
    return ClientCredential(std::move(state));
}

Result<ClientCredential> ClientCredential::from_password(const std::string& principal,
                                                         std::string_view password, int32_t life_s) {
    TRY(check_password_text(password));
    TRY_ASSIGN(KrbContext context, KrbContext::make());
    auto state = std::make_unique<State>(std::move(context));
    const KrbContext& krb = state->context;
    TRY_ASSIGN(const KrbPrincipal client, parse_principal(krb, principal));
    TRY_ASSIGN(const KrbCredentialOptions options, login_options(krb));
    if (life_s != 0) krb5_get_init_creds_opt_set_tkt_life(options.get(), life_s);
    Credentials credentials(krb);
    std::string copy(password);  // libkrb5 wants an end mark
    auto fetched = fetch_with_password(krb, client.get(), principal, copy, options.get(), credentials.raw());
    wipe(copy);
    TRY(std::move(fetched));
    TRY(state->keep(client.get(), credentials.raw()));
    state->principal = principal;
    return ClientCredential(std::move(state));
}

Result<void> ClientCredential::store(const std::string& cache) const {
    const KrbContext& krb = state_->context;
    KrbCache target(krb);
    KrbPrincipal client(krb);
    auto code = krb5_cc_resolve(krb.get(), cache.c_str(), target.out());
    if (code == 0) code = krb5_cc_get_principal(krb.get(), state_->cache.get(), client.out());
    if (code == 0) code = krb5_cc_initialize(krb.get(), target.get(), client.get());
    if (code == 0) code = krb5_cc_copy_creds(krb.get(), state_->cache.get(), target.get());
    if (code != 0) return krb.fail(Errc::kIo, code, "ticket cache " + cache);
    return {};
}

struct GssInitiator::State {
    InitiatorConfig config;
    GssCredential credential;
    GssName service;
    GssContext context;
    OM_uint32 flags = 0;
    bool complete = false;
};

GssInitiator::GssInitiator(std::unique_ptr<State> state) : state_(std::move(state)) {}
GssInitiator::GssInitiator(GssInitiator&&) noexcept = default;
GssInitiator& GssInitiator::operator=(GssInitiator&&) noexcept = default;
GssInitiator::~GssInitiator() = default;

bool GssInitiator::complete() const {
    return state_->complete;
}
bool GssInitiator::channel_bound() const {
    return state_->complete && (state_->flags & GSS_C_CHANNEL_BOUND_FLAG) != 0;
}

Result<GssInitiator> GssInitiator::open(const ClientCredential& credential, InitiatorConfig config) {
    auto state = std::make_unique<State>();
    // A principal is taken as it stands; a host-based name may be mapped by the site's krb5.conf.
    const gss_OID form = config.service.contains('/') ? const_cast<gss_OID>(GSS_KRB5_NT_PRINCIPAL_NAME)
                                                      : GSS_C_NT_HOSTBASED_SERVICE;
    TRY_ASSIGN(state->service, import_gss_name(config.service, form));
    std::array<gss_key_value_element_desc, 1> elements = {
        {{"ccache", credential.state_->cache_name.c_str()}}};
    const gss_key_value_set_desc store = {elements.size(), elements.data()};
    OM_uint32 minor = 0;
    OM_uint32 major =
        gss_acquire_cred_from(&minor, GSS_C_NO_NAME, GSS_C_INDEFINITE, accepted_mechanisms(), GSS_C_INITIATE,
                              &store, state->credential.out(), nullptr, nullptr);
    if (!GSS_ERROR(major))
        major = gss_set_neg_mechs(&minor, state->credential.get(), negotiated_mechanisms());
    if (GSS_ROUTINE_ERROR(major) == GSS_S_CREDENTIALS_EXPIRED) {
        return fail(Errc::kUnauthenticated, "the ticket in {} has expired; get a new one with kinit",
                    credential.state_->cache_name);
    }
    if (GSS_ERROR(major)) {
        return fail(Errc::kUnauthenticated, "ticket cache {}: {}", credential.state_->cache_name,
                    gss_text(major, minor, krb5_mechanism()));
    }
    state->config = std::move(config);
    return GssInitiator(std::move(state));
}

Result<Bytes> GssInitiator::step(BytesView reply) {
    State& state = *state_;
    if (state.complete)
        return fail(Errc::kInvalid, "the sign-in to {} is over already", state.config.service);
    if (reply.size() > kGssTokenBytesMax)
        return fail(Errc::kInvalid, "reply of {}: longer than {} bytes", state.config.service,
                    kGssTokenBytesMax);
    // No second token from the server means that it never proved who it is.
    if (state.context.get() != GSS_C_NO_CONTEXT && reply.empty()) {
        return fail(Errc::kUnauthenticated,
                    "{} did not prove its identity (no mutual authentication in its reply)",
                    state.config.service);
    }
    gss_buffer_desc input = as_gss_buffer(reply);
    gss_channel_bindings_struct bindings = as_channel_bindings(state.config.channel_binding);
    GssBuffer output;
    OM_uint32 minor = 0;
    const OM_uint32 major = gss_init_sec_context(
        &minor, state.credential.get(), state.context.out(), state.service.get(),
        state.config.spnego ? spnego_mechanism() : krb5_mechanism(),
        GSS_C_MUTUAL_FLAG | GSS_C_INTEG_FLAG | GSS_C_CONF_FLAG, GSS_C_INDEFINITE,
        state.config.channel_binding.empty() ? GSS_C_NO_CHANNEL_BINDINGS : &bindings,
        reply.empty() ? GSS_C_NO_BUFFER : &input, nullptr, output.out(), &state.flags, nullptr);
    if (GSS_ERROR(major)) {
        return fail(Errc::kUnauthenticated, "sign-in to {}: {} (this machine's clock says {})",
                    state.config.service, gss_text(major, minor, krb5_mechanism()), now_utc());
    }
    if ((major & GSS_S_CONTINUE_NEEDED) == 0) {
        if ((state.flags & GSS_C_MUTUAL_FLAG) == 0) {
            return fail(Errc::kUnauthenticated, "{} did not prove its identity", state.config.service);
        }
        state.complete = true;
    }
    return Bytes(output.view());
}

Result<Bytes> GssInitiator::seal(BytesView plain) {
    return gss_seal(state_->context.get(), plain);
}
Result<Bytes> GssInitiator::open(BytesView sealed) {
    return gss_open(state_->context.get(), sealed);
}

Result<GssPeer> check_password(const PasswordCheck& check) {
    TRY_ASSIGN(GssAcceptor acceptor, GssAcceptor::open({check.keytab_path, check.server_principal, {}}));
    TRY_ASSIGN(const ClientCredential credential,
               ClientCredential::from_password(check.principal, check.password, kPasswordCheckLifeSeconds));
    // Whoever answers for the KDC could have made up the password's key; only the real one knows ours.
    auto untrusted = [&](const core::Error& why) {
        return fail(
            Errc::kDenied,
            "the KDC that checked this password does not know the key of {}, so it is not trusted: {}",
            check.server_principal, why.message);
    };
    TRY_ASSIGN(GssInitiator initiator,
               GssInitiator::open(credential, {.service = check.server_principal, .spnego = false}));
    const auto token = initiator.step();
    if (!token) return untrusted(token.error());
    AcceptOutcome outcome = acceptor.accept(*token);
    if (outcome.state != AcceptOutcome::State::kComplete) return untrusted(outcome.error);
    return std::move(outcome.peer);
}

}  // namespace smackd::auth
