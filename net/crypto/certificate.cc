#include "net/crypto/certificate.h"

#include <arpa/inet.h>
#include <mbedtls/oid.h>
#include <mbedtls/pem.h>

#include <chrono>
#include <format>

#include "net/crypto/hash.h"
#include "net/crypto/mbed.h"
#include "net/crypto/x509_names.h"

namespace smackd::net::crypto {

namespace {

core::WallTime wall_time(const mbedtls_x509_time& at) {
    using namespace std::chrono;
    sys_days day = year_month_day(year(at.year), month(static_cast<unsigned>(at.mon)),
                                  std::chrono::day(static_cast<unsigned>(at.day)));
    auto moment = day + hours(at.hour) + minutes(at.min) + seconds(at.sec);
    return core::WallTime{duration_cast<milliseconds>(moment.time_since_epoch()).count()};
}

std::string to_pem_block(const char* label, core::BytesView der) {
    std::string begin = std::format("-----BEGIN {}-----\n", label);
    std::string end = std::format("-----END {}-----\n", label);
    std::string pem(der.size() * 2 + 128, '\0');
    size_t size = 0;
    int status = mbedtls_pem_write_buffer(begin.c_str(), end.c_str(), raw(der), der.size(), raw(pem),
                                          pem.size(), &size);
    SMACK_ASSERT(status == 0);
    pem.resize(size - 1);  // without the NUL
    return pem;
}

}  // namespace

core::Result<Certificate> read_certificate(const mbedtls_x509_crt& from) {
    Certificate certificate;
    certificate.der = view(from.raw.p, from.raw.len);
    certificate.pem = to_pem_block("CERTIFICATE", certificate.der);
    certificate.common_name = common_name_of(from.subject);
    certificate.serial = core::to_hex(view(from.serial.p, from.serial.len));
    TRY_ASSIGN(certificate.names, read_alt_names(from.subject_alt_names));
    certificate.not_before = wall_time(from.valid_from);
    certificate.not_after = wall_time(from.valid_to);
    certificate.is_ca = mbedtls_x509_crt_get_ca_istrue(&from) == 1;
    certificate.public_key_der = view(from.pk_raw.p, from.pk_raw.len);
    certificate.public_key_sha256 = sha256(certificate.public_key_der);
    return certificate;
}

core::Result<Certificate> parse_certificate(core::BytesView pem_or_der) {
    TRY_ASSIGN(OwnedCrt chain, parse_chain(pem_or_der, "certificate"));
    return read_certificate(*chain);
}

namespace {

/// mbedTLS asks the system's clock; the caller's counts.
int check_time_at(void* now, mbedtls_x509_crt* certificate, int, uint32_t* flags) {
    auto at = *static_cast<const core::WallTime*>(now);
    *flags &= ~static_cast<uint32_t>(MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE);
    if (at > wall_time(certificate->valid_to)) *flags |= MBEDTLS_X509_BADCERT_EXPIRED;
    if (at < wall_time(certificate->valid_from)) *flags |= MBEDTLS_X509_BADCERT_FUTURE;
    return 0;
}

}  // namespace

std::string describe_verify_flags(uint32_t flags, const mbedtls_x509_crt* certificate) {
    if ((flags & MBEDTLS_X509_BADCERT_MISSING) != 0) return "the peer sent no certificate";
    if ((flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED) != 0)
        return "the certificate is not signed by a CA we trust";
    auto date = [](const mbedtls_x509_time& t) {
        return std::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC", t.year, t.mon, t.day, t.hour, t.min,
                           t.sec);
    };
    if (certificate != nullptr && (flags & MBEDTLS_X509_BADCERT_EXPIRED) != 0) {
        return std::format("the certificate expired on {}", date(certificate->valid_to));
    }
    if (certificate != nullptr && (flags & MBEDTLS_X509_BADCERT_FUTURE) != 0) {
        return std::format("the certificate is valid only from {}; check the clocks",
                           date(certificate->valid_from));
    }
    char text[512] = {};
    mbedtls_x509_crt_verify_info(text, sizeof text, "", flags);
    std::string reason = text;
    while (!reason.empty() && reason.back() == '\n') reason.pop_back();
    return reason;
}

core::Result<void> verify_certificate(std::string_view certificate_pem, std::string_view ca_pem,
                                      core::WallTime now) {
    TRY_ASSIGN(OwnedCrt chain, parse_chain(certificate_pem, "certificate"));
    TRY_ASSIGN(OwnedCrt authorities, parse_chain(ca_pem, "CA certificate"));
    uint32_t flags = 0;
    int status = mbedtls_x509_crt_verify(chain.get(), authorities.get(), nullptr, nullptr, &flags,
                                         check_time_at, &now);
    if (status == 0) return {};
    return core::fail(core::Errc::kDenied, "{}", describe_verify_flags(flags, chain.get()));
}

}  // namespace smackd::net::crypto
