#include "auth/ticket_diagnosis.h"

#include <ctime>

#include "auth/krb5_handles.h"
#include "net/system_clock.h"

namespace smackd::auth {
namespace {

using core::BytesView;

// The krb5 mechanism's object identifier and the token id of an AP-REQ (RFC 4121 section 4.1).
constexpr BytesView kApReqMark("\x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x01\x00", 13);
constexpr char kApReqTag = '\x6e';  // [APPLICATION 14], constructed

// The whole DER value at the start of `bytes`; empty when its length goes past the end.
BytesView take_der(BytesView bytes) {
    if (bytes.size() < 2) return {};
    const auto first = static_cast<uint8_t>(bytes[1]);
    if (first < 0x80) return bytes.size() >= 2U + first ? bytes.substr(0, 2U + first) : BytesView{};
    const size_t count = first & 0x7fU;
    if (count == 0 || count > 3 || bytes.size() < 2 + count) return {};
    size_t length = 0;
    for (size_t i = 0; i < count; i++) length = (length << 8U) | static_cast<uint8_t>(bytes[2 + i]);
    return bytes.size() >= 2 + count + length ? bytes.substr(0, 2 + count + length) : BytesView{};
}

std::optional<int64_t> client_time(const KrbContext& context, krb5_auth_context exchange) {
    krb5_authenticator* authenticator = nullptr;
    if (krb5_auth_con_getauthenticator(context.get(), exchange, &authenticator) != 0 ||
        authenticator == nullptr) {
        return std::nullopt;
    }
    const int64_t seconds = static_cast<uint32_t>(authenticator->ctime);
    krb5_free_authenticator(context.get(), authenticator);
    return seconds;
}

// krb5 names the server in its own sentences only: "... ticket server HTTP/a@R kvno 1 ...".
std::string server_in(std::string_view text) {
    constexpr std::string_view kMark = "ticket server ";
    const size_t at = text.find(kMark);
    if (at == std::string_view::npos) return {};
    text.remove_prefix(at + kMark.size());
    return std::string(text.substr(0, text.find(' ')));
}

}  // namespace

BytesView find_ap_req(BytesView token) {
    const size_t at = token.find(kApReqMark);
    if (at == BytesView::npos) return {};
    const BytesView rest = token.substr(at + kApReqMark.size());
    return rest.starts_with(kApReqTag) ? take_der(rest) : BytesView{};
}

TicketDiagnosis diagnose_ticket(BytesView token, const std::string& keytab_path) {
    TicketDiagnosis diagnosis;
    const BytesView ap_req = find_ap_req(token);
    auto context = KrbContext::make();
    if (ap_req.empty() || !context) return diagnosis;
    KrbKeytab keytab(*context);
    KrbOwned<krb5_auth_context, krb5_auth_con_free> exchange(*context);
    if (krb5_kt_resolve(context->get(), ("FILE:" + keytab_path).c_str(), keytab.out()) != 0 ||
        krb5_auth_con_init(context->get(), exchange.out()) != 0) {
        return diagnosis;
    }
    diagnosis.found = true;
    krb5_auth_con_setflags(context->get(), exchange.get(), 0);  // without DO_TIME no replay cache is used
    const krb5_data data = as_krb5_data(ap_req);
    krb5_auth_context raw = exchange.get();
    diagnosis.code = krb5_rd_req(context->get(), &raw, &data, nullptr, keytab.get(), nullptr, nullptr);
    if (diagnosis.code != 0) diagnosis.text = context->text(diagnosis.code);
    diagnosis.server = server_in(diagnosis.text);
    // Only this code comes after the authenticator was read; before, libkrb5 would follow a null pointer.
    if (diagnosis.code == KRB5KRB_AP_ERR_SKEW)
        diagnosis.client_time_s = client_time(*context, exchange.get());
    return diagnosis;
}

std::string format_utc(int64_t unix_s) {
    const time_t seconds = unix_s;
    tm parts{};
    char text[40] = "";
    if (gmtime_r(&seconds, &parts) != nullptr) strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &parts);
    return text;
}

std::string now_utc() {
    return format_utc(net::SystemClock().wall().unix_ms / 1000);
}

}  // namespace smackd::auth
