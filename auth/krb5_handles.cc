#include "auth/krb5_handles.h"

namespace smackd::auth {

using core::Errc;
using core::Result;

Result<KrbContext> KrbContext::make() {
    krb5_context raw = nullptr;
    if (const krb5_error_code code = krb5_init_context(&raw); code != 0) {
        const char* text = krb5_get_error_message(nullptr, code);
        auto error = core::fail(Errc::kIo, "Kerberos: {}; check the file that KRB5_CONFIG names", text);
        krb5_free_error_message(nullptr, text);
        return error;
    }
    return KrbContext(raw);
}

std::string KrbContext::text(krb5_error_code code) const {
    const char* message = krb5_get_error_message(raw_, code);
    std::string copy(message);
    krb5_free_error_message(raw_, message);
    return copy;
}

std::unexpected<core::Error> KrbContext::fail(Errc errc, krb5_error_code code, std::string_view what) const {
    return core::fail(errc, "{}: {}", what, text(code));
}

Result<KrbPrincipal> parse_principal(const KrbContext& context, const std::string& name) {
    KrbPrincipal principal(context);
    const krb5_error_code code = krb5_parse_name_flags(context.get(), name.c_str(),
                                                       KRB5_PRINCIPAL_PARSE_REQUIRE_REALM, principal.out());
    if (code != 0) return context.fail(Errc::kInvalid, code, "principal " + name);
    return principal;
}

Result<std::string> unparse_principal(const KrbContext& context, krb5_const_principal principal) {
    char* name = nullptr;
    if (const krb5_error_code code = krb5_unparse_name(context.get(), principal, &name); code != 0) {
        return context.fail(Errc::kIo, code, "principal");
    }
    std::string copy(name);
    krb5_free_unparsed_name(context.get(), name);
    return copy;
}

krb5_data as_krb5_data(core::BytesView bytes) {
    krb5_data data{};
    data.magic = KV5M_DATA;
    data.length = static_cast<unsigned int>(bytes.size());
    data.data = const_cast<char*>(bytes.data());  // krb5's type has no const form
    return data;
}

}  // namespace smackd::auth
