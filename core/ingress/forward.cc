#include "core/ingress/forward.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <format>

#include "core/json.h"

namespace smackd::core::ingress {
namespace {

constexpr std::string_view kHsts = "Strict-Transport-Security: max-age=15768000\r\n";

void add_field(Bytes& out, std::string_view name, std::string_view value) {
    out.append(name).append(": ").append(value).append("\r\n");
}

void add_number(Bytes& out, uint64_t number) {
    std::array<char, 20> digits{};
    const auto end = std::to_chars(digits.begin(), digits.end(), number).ptr;
    out.append(digits.data(), static_cast<size_t>(end - digits.data()));
}

/// Calls use(name, whole pair) for each cookie.
template <class Use>
void for_each_cookie(std::string_view value, Use use) {
    while (!value.empty()) {
        const size_t end = std::min(value.find(';'), value.size());
        std::string_view pair = value.substr(0, end);
        while (pair.starts_with(' ')) pair.remove_prefix(1);
        std::string_view name = pair.substr(0, pair.find('='));
        while (name.ends_with(' ')) name.remove_suffix(1);
        use(name, pair);
        value.remove_prefix(std::min(end + 1, value.size()));
    }
}

bool is_for_us(std::string_view name, const RequestRules& rules) {
    return (!rules.sticky_cookie.empty() && name == rules.sticky_cookie) ||
           (rules.api != nullptr && rules.api->own_cookie(name));
}

void add_cookies(Bytes& out, const Field& field, const RequestRules& rules) {
    bool ours = false;
    for_each_cookie(field.value,
                    [&](std::string_view name, std::string_view) { ours |= is_for_us(name, rules); });
    if (!ours) return add_field(out, field.name, field.value);
    Bytes kept;
    for_each_cookie(field.value, [&](std::string_view name, std::string_view pair) {
        if (!is_for_us(name, rules)) kept.append(kept.empty() ? "" : "; ").append(pair);
    });
    if (!kept.empty()) add_field(out, field.name, kept);
}

void add_forwarded(Bytes& out, const RequestHead& head, const RequestRules& rules, std::string_view before) {
    out.append("X-Forwarded-For: ");
    if (!before.empty()) out.append(before).append(", ");
    out.append(rules.client).append("\r\nX-Forwarded-Proto: ").append(rules.tls ? "https" : "http");
    out.append("\r\nX-Forwarded-Port: ");
    add_number(out, rules.port);
    out.append("\r\n");
    if (!head.authority.empty()) add_field(out, "X-Forwarded-Host", head.authority);
}

void add_request_framing(Bytes& out, const RequestHead& head) {
    if (head.chunked) {
        out.append("Transfer-Encoding: chunked\r\n");
    } else if (head.content_length) {
        out.append("Content-Length: ");
        add_number(out, *head.content_length);
        out.append("\r\n");
    }
}

}  // namespace

bool ApiCredentials::own_cookie(std::string_view name) const {
    return std::ranges::find(cookies, name) != cookies.end();
}

bool ApiCredentials::own_authorization(std::string_view value, std::string_view host) const {
    const std::string_view scheme = value.substr(0, value.find_first_of(" ="));
    if (same_word(scheme, "token")) return true;
    if (same_word(scheme, "negotiate") || same_word(scheme, "kerberos"))
        return hosts.empty() || std::ranges::find(hosts, host) != hosts.end();
    if (!same_word(scheme, "bearer") || token_issuer.empty()) return false;
    const size_t first = value.find('.');
    const size_t second = first == value.npos ? value.npos : value.find('.', first + 1);
    if (second == value.npos) return false;
    auto payload = from_base64url(value.substr(first + 1, second - first - 1));
    if (!payload) return false;
    auto claims = Json::parse(*payload);
    return claims && (*claims)["iss"].as_string() == token_issuer;
}

void write_request_head(const RequestHead& head, const RequestRules& rules, Bytes& out) {
    out.append(head.method).append(" ").append(head.target).append(" HTTP/1.1\r\n");
    add_field(out, "Host", head.authority.empty() ? rules.backend : head.authority);
    std::string_view forwarded_for;
    std::string_view upgrade;
    for (size_t i = 0; i < head.field_count; ++i) {
        const Field& field = head.fields[i];
        switch (field.known) {
            case FieldName::kOther:
                if (head.connection.empty() || !head.is_named_by_connection(field.name))
                    add_field(out, field.name, field.value);
                break;
            case FieldName::kExpect:
                add_field(out, field.name, field.value);
                break;
            case FieldName::kUpgrade:
                upgrade = field.value;
                break;
            case FieldName::kCookie:
                add_cookies(out, field, rules);
                break;
            case FieldName::kAuthorization:
                if (rules.api == nullptr || !rules.api->own_authorization(field.value, head.host()))
                    add_field(out, field.name, field.value);
                break;
            case FieldName::kForwardedFor:
                forwarded_for = field.value;
                break;
            case FieldName::kSetCookie:
                add_field(out, field.name, field.value);
                break;
            case FieldName::kHost:
            case FieldName::kConnection:
            case FieldName::kContentLength:
            case FieldName::kTransferEncoding:
            case FieldName::kHopByHop:
            case FieldName::kForwardedOther:
                break;
        }
    }
    add_forwarded(out, head, rules, forwarded_for);
    add_request_framing(out, head);
    if (head.upgrade) {
        out.append("Connection: Upgrade\r\n");
        add_field(out, "Upgrade", upgrade);
    }
    out.append("\r\n");
}

void write_response_head(const ResponseHead& head, const ResponseRules& rules, Bytes& out) {
    out.append("HTTP/1.1 ");
    add_number(out, static_cast<uint64_t>(head.status));
    out.append(" ").append(head.reason).append("\r\n");
    const bool switches = head.status == 101;
    for (size_t i = 0; i < head.field_count; ++i) {
        const Field& field = head.fields[i];
        switch (field.known) {
            case FieldName::kConnection:
            case FieldName::kTransferEncoding:
            case FieldName::kHopByHop:
            case FieldName::kContentLength:
                break;
            case FieldName::kUpgrade:
                if (switches) add_field(out, field.name, field.value);
                break;
            case FieldName::kSetCookie:
                if (rules.api == nullptr ||
                    !rules.api->own_cookie(field.value.substr(0, field.value.find('='))))
                    add_field(out, field.name, field.value);
                break;
            default:
                if (head.connection.empty() || !head.is_named_by_connection(field.name))
                    add_field(out, field.name, field.value);
        }
    }
    if (switches) {
        out.append("Connection: Upgrade\r\n\r\n");
        return;
    }
    if (head.status < 200) {
        out.append("\r\n");
        return;
    }
    // The length also of bodies that do not come (HEAD, 304): it says what a GET would get.
    if (head.content_length && rules.framing != BodyFraming::kChunked) {
        out.append("Content-Length: ");
        add_number(out, *head.content_length);
        out.append("\r\n");
    }
    if (rules.framing == BodyFraming::kChunked) out.append("Transfer-Encoding: chunked\r\n");
    if (!rules.set_cookie.empty()) {
        add_field(out, "Set-Cookie", rules.set_cookie);
        out.append("Cache-Control: private\r\n");
    }
    if (rules.hsts) out.append(kHsts);
    if (rules.close) {
        out.append("Connection: close\r\n");
    } else if (rules.client_is_1_0) {
        out.append("Connection: keep-alive\r\n");
    }
    out.append("\r\n");
}

std::string_view find_cookie(const RequestHead& head, std::string_view name) {
    std::string_view found;
    for (size_t i = 0; i < head.field_count; ++i) {
        if (head.fields[i].known != FieldName::kCookie) continue;
        for_each_cookie(head.fields[i].value, [&](std::string_view cookie, std::string_view pair) {
            if (cookie == name && found.empty() && pair.size() > cookie.size())
                found = pair.substr(cookie.size() + 1);
        });
    }
    return found;
}

std::string_view status_text(int status) {
    switch (status) {
        case 301:
            return "Moved Permanently";
        case 400:
            return "Bad Request";
        case 403:
            return "Forbidden";
        case 405:
            return "Method Not Allowed";
        case 408:
            return "Request Timeout";
        case 417:
            return "Expectation Failed";
        case 431:
            return "Request Header Fields Too Large";
        case 501:
            return "Not Implemented";
        case 502:
            return "Bad Gateway";
        case 503:
            return "Service Unavailable";
        case 504:
            return "Gateway Timeout";
        case 505:
            return "HTTP Version Not Supported";
        default:
            return "Error";
    }
}

Bytes plain_answer(int status, std::string_view reason, bool close, bool head_only,
                   std::string_view extra_fields) {
    Bytes out = std::format(
        "HTTP/1.1 {} {}\r\nContent-Type: text/plain; charset=utf-8\r\nCache-Control: "
        "no-store\r\nContent-Length: {}\r\n"
        "{}{}\r\n",
        status, status_text(status), reason.size() + 1, extra_fields, close ? "Connection: close\r\n" : "");
    if (!head_only) out.append(reason).append("\n");
    return out;
}

}  // namespace smackd::core::ingress
