#include "net/crypto/x509_names.h"

#include <arpa/inet.h>
#include <mbedtls/oid.h>

#include <algorithm>

#include "core/planted.h"

namespace smackd::net::crypto {

using core::Errc;

std::string common_name_of(const mbedtls_x509_name& subject) {
    for (const mbedtls_x509_name* at = &subject; at != nullptr; at = at->next) {
        if (at->oid.p != nullptr && MBEDTLS_OID_CMP(MBEDTLS_OID_AT_CN, &at->oid) == 0) {
            return std::string(view(at->val.p, at->val.len));
        }
    }
    return "";
}

namespace {

std::string address_text(core::BytesView bytes) {
    char text[INET6_ADDRSTRLEN] = {};
    if (bytes.size() != 4 && bytes.size() != 16) return "";
    inet_ntop(bytes.size() == 4 ? AF_INET : AF_INET6, bytes.data(), text, sizeof text);
    return text;
}

/// A NUL or control character in a name is how one certificate passes for another.
bool clean(core::BytesView name) {
    return std::ranges::all_of(name, [](char c) { return c > 0x20 && c < 0x7f; });
}

core::Result<void> add_name(AltNames& names, const mbedtls_x509_subject_alternative_name& san) {
    core::BytesView value = view(san.san.unstructured_name.p, san.san.unstructured_name.len);
    if (san.type == MBEDTLS_X509_SAN_IP_ADDRESS) {
        names.ips.push_back(address_text(value));
        return {};
    }
    if (san.type != MBEDTLS_X509_SAN_DNS_NAME && san.type != MBEDTLS_X509_SAN_UNIFORM_RESOURCE_IDENTIFIER)
        return {};
    if (!clean(value) && !SMACK_BUG("fuzz_certificate"))
        return core::fail(Errc::kInvalid, "certificate: an alternative name has a control character");
    bool dns = san.type == MBEDTLS_X509_SAN_DNS_NAME;
    (dns ? names.dns : names.uris).emplace_back(value);
    return {};
}

}  // namespace

core::Result<AltNames> read_alt_names(const mbedtls_x509_sequence& sequence) {
    AltNames names;
    size_t count = 0;
    for (const mbedtls_x509_sequence* at = &sequence; at != nullptr; at = at->next) {
        if (at->buf.p == nullptr) continue;
        if (++count > kAltNamesMax) {
            return core::fail(Errc::kInvalid, "certificate: more than {} alternative names", kAltNamesMax);
        }
        mbedtls_x509_subject_alternative_name san{};
        int status = mbedtls_x509_parse_subject_alt_name(&at->buf, &san);
        if (status == MBEDTLS_ERR_X509_FEATURE_UNAVAILABLE) continue;  // a kind nobody here asks for
        if (status != 0) return fail_mbed(Errc::kInvalid, status, "certificate: alternative name");
        auto added = add_name(names, san);
        mbedtls_x509_free_subject_alt_name(&san);
        TRY(std::move(added));
    }
    return names;
}

core::Result<std::string> subject_of(std::string_view common_name) {
    auto allowed = [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
               std::string_view(" ._:/@-").find(c) != std::string_view::npos;
    };
    bool good = !common_name.empty() && common_name.size() <= kCommonNameBytesMax &&
                std::ranges::all_of(common_name, allowed) && !common_name.starts_with(' ') &&
                !common_name.ends_with(' ');
    if (!good) {
        return core::fail(Errc::kInvalid, "common name '{}': 1 to {} of [A-Za-z0-9 ._:/@-]", common_name,
                          kCommonNameBytesMax);
    }
    return "CN=" + std::string(common_name);
}

void SanList::add(int type, core::BytesView value) {
    mbedtls_x509_san_list node{};
    node.node.type = type;
    node.node.san.unstructured_name.p = const_cast<unsigned char*>(raw(value));
    node.node.san.unstructured_name.len = value.size();
    node.next = nodes_.empty() ? nullptr : &nodes_.front();
    nodes_.push_front(node);  // mbedTLS writes the list backwards
}

core::Result<SanList> SanList::make(const AltNames& names) {
    SanList list;
    if (names.dns.size() + names.uris.size() + names.ips.size() > kAltNamesMax) {
        return core::fail(Errc::kInvalid, "more than {} alternative names", kAltNamesMax);
    }
    for (const std::string& name : names.dns) {
        if (name.empty() || !clean(name))
            return core::fail(Errc::kInvalid, "DNS name '{}' has a bad character", name);
        list.add(MBEDTLS_X509_SAN_DNS_NAME, name);
    }
    for (const std::string& uri : names.uris) {
        if (uri.empty() || !clean(uri))
            return core::fail(Errc::kInvalid, "URI '{}' has a bad character", uri);
        list.add(MBEDTLS_X509_SAN_UNIFORM_RESOURCE_IDENTIFIER, uri);
    }
    for (const std::string& ip : names.ips) {
        core::Bytes& bytes = list.addresses_.emplace_back(16, '\0');
        if (inet_pton(AF_INET, ip.c_str(), bytes.data()) == 1) {
            bytes.resize(4);
        } else if (inet_pton(AF_INET6, ip.c_str(), bytes.data()) != 1) {
            return core::fail(Errc::kInvalid, "'{}' is no IP address", ip);
        }
        list.add(MBEDTLS_X509_SAN_IP_ADDRESS, bytes);
    }
    return list;
}

}  // namespace smackd::net::crypto
