#include "auth/kdc_probe.h"

#include <profile.h>

#include "auth/krb5_handles.h"

namespace smackd::auth {

using core::Errc;
using core::Result;

namespace {

constexpr char kErrorTag = 0x7e;   // KRB-ERROR
constexpr char kTicketTag = 0x6b;  // AS-REP
constexpr std::string_view kPort = ":88";
// RFC 4120 section 7.5.9.
constexpr int kUnknownClient = 6;
constexpr int kExpired = 1;
constexpr int kRevoked = 18;
constexpr int kProofNeeded = 25;
constexpr int kElsewhere = 68;

KdcAnswer::Says says_of(int error) {
    using enum KdcAnswer::Says;
    if (error == kProofNeeded || error == kExpired || error == kRevoked) return kKnows;
    if (error == kUnknownClient) return kUnknownPrincipal;
    return error == kElsewhere ? kWrongRealm : kOther;
}

}  // namespace

Result<core::Bytes> kdc_question(const std::string& name) {
    TRY_ASSIGN(const KrbContext context, KrbContext::make());
    TRY_ASSIGN(const KrbPrincipal principal, parse_principal(context, name));
    KrbOwned<krb5_init_creds_context, krb5_init_creds_free> exchange(context);
    krb5_error_code code =
        krb5_init_creds_init(context.get(), principal.get(), nullptr, nullptr, 0, nullptr, exchange.out());
    if (code != 0) return context.fail(Errc::kIo, code, "asking a KDC");
    krb5_data none{};
    krb5_data out{};
    krb5_data realm{};
    unsigned int flags = 0;
    code = krb5_init_creds_step(context.get(), exchange.get(), &none, &out, &realm, &flags);
    if (code != 0) return context.fail(Errc::kIo, code, "asking a KDC");
    core::Bytes question(out.data, out.length);
    krb5_free_data_contents(context.get(), &out);
    krb5_free_data_contents(context.get(), &realm);
    return question;
}

Result<KdcAnswer> read_kdc_answer(core::BytesView answer) {
    if (!answer.empty() && answer[0] == kTicketTag) return KdcAnswer{KdcAnswer::Says::kKnows};
    if (answer.empty() || answer[0] != kErrorTag)
        return core::fail(Errc::kInvalid, "what answers there is no KDC");
    TRY_ASSIGN(const KrbContext context, KrbContext::make());
    const krb5_data bytes = as_krb5_data(answer);
    krb5_error* error = nullptr;
    if (krb5_rd_error(context.get(), &bytes, &error) != 0)
        return core::fail(Errc::kInvalid, "what answers there is no KDC");
    KdcAnswer read{says_of(static_cast<int>(error->error)),
                   static_cast<int64_t>(error->stime) * 1000 + error->susec / 1000};
    read.text = context.text(static_cast<krb5_error_code>(error->error) + ERROR_TABLE_BASE_krb5);
    krb5_free_error(context.get(), error);
    return read;
}

Result<std::vector<std::string>> configured_kdcs(const std::string& realm) {
    TRY_ASSIGN(const KrbContext context, KrbContext::make());
    profile_t profile = nullptr;
    if (const krb5_error_code code = krb5_get_profile(context.get(), &profile); code != 0)
        return context.fail(Errc::kIo, code, "krb5.conf");
    const char* const names[] = {"realms", realm.c_str(), "kdc", nullptr};
    char** values = nullptr;
    std::vector<std::string> kdcs;
    if (profile_get_values(profile, names, &values) == 0) {
        for (char** value = values; *value != nullptr; ++value) {
            std::string kdc = *value;
            const bool port = kdc.rfind(':') != std::string::npos && !kdc.ends_with(']');
            kdcs.push_back(port ? std::move(kdc) : kdc + std::string(kPort));
        }
        profile_free_list(values);
    }
    profile_release(profile);
    return kdcs;
}

}  // namespace smackd::auth
