// Making certificates: a self-signed CA and leaves under it.

#include <mbedtls/oid.h>

#include <chrono>
#include <format>

#include "net/crypto/certificate.h"
#include "net/crypto/mbed.h"
#include "net/crypto/random.h"
#include "net/crypto/x509_names.h"

namespace smackd::net::crypto {

using core::Errc;

namespace {

constexpr size_t kPemBytesMax = 16 * 1024;
constexpr size_t kSerialBytesMax = 20;  // RFC 5280 section 4.1.2.2

class CertificateWriter {
 public:
    CertificateWriter() {
        initialise();
        mbedtls_x509write_crt_init(&context_);
        mbedtls_x509write_crt_set_version(&context_, MBEDTLS_X509_CRT_VERSION_3);
        mbedtls_x509write_crt_set_md_alg(&context_, MBEDTLS_MD_SHA256);
    }
    ~CertificateWriter() { mbedtls_x509write_crt_free(&context_); }
    CertificateWriter(const CertificateWriter&) = delete;
    CertificateWriter& operator=(const CertificateWriter&) = delete;
    mbedtls_x509write_cert* get() { return &context_; }

    core::Result<std::string> write_pem() {
        std::string pem(kPemBytesMax, '\0');
        int status = mbedtls_x509write_crt_pem(&context_, raw(pem), pem.size(), kernel_random, nullptr);
        if (status != 0) return fail_mbed(Errc::kInvalid, status, "write certificate");
        pem.resize(pem.find('\0'));
        return pem;
    }

 private:
    mbedtls_x509write_cert context_{};
};

std::string x509_time(core::WallTime at) {
    std::chrono::sys_seconds moment{
        std::chrono::floor<std::chrono::seconds>(std::chrono::milliseconds(at.unix_ms))};
    return std::format("{:%Y%m%d%H%M%S}", moment);
}

core::Result<void> set_validity(CertificateWriter& writer, core::WallTime from, core::WallTime to) {
    if (from >= to) return core::fail(Errc::kInvalid, "certificate: not_before must be before not_after");
    std::string begin = x509_time(from);
    std::string end = x509_time(to);
    int status = mbedtls_x509write_crt_set_validity(writer.get(), begin.c_str(), end.c_str());
    if (status != 0) return fail_mbed(Errc::kInvalid, status, "certificate: validity");
    return {};
}

/// Positive and without a leading zero byte, whatever the bits.
core::Bytes random_serial() {
    core::Bytes serial = random_bytes(16);
    serial[0] = static_cast<char>((static_cast<unsigned char>(serial[0]) & 0x7f) | 0x40);
    return serial;
}

core::Result<void> set_serial(CertificateWriter& writer, const std::string& hex) {
    core::Bytes serial = random_serial();
    if (!hex.empty()) {
        TRY_ASSIGN(serial, core::from_hex(hex));
    }
    if (serial.size() > kSerialBytesMax) return core::fail(Errc::kInvalid, "serial: at most 40 hex digits");
    int status = mbedtls_x509write_crt_set_serial_raw(writer.get(), raw(serial), serial.size());
    if (status != 0) return fail_mbed(Errc::kInvalid, status, "certificate: serial");
    return {};
}

core::Result<void> set_key_use(CertificateWriter& writer, KeyUse use) {
    mbedtls_asn1_sequence client{};
    client.buf.tag = MBEDTLS_ASN1_OID;
    client.buf.p = const_cast<unsigned char*>(raw(core::BytesView(MBEDTLS_OID_CLIENT_AUTH)));
    client.buf.len = MBEDTLS_OID_SIZE(MBEDTLS_OID_CLIENT_AUTH);
    mbedtls_asn1_sequence server{};
    server.buf.tag = MBEDTLS_ASN1_OID;
    server.buf.p = const_cast<unsigned char*>(raw(core::BytesView(MBEDTLS_OID_SERVER_AUTH)));
    server.buf.len = MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH);
    if (use == KeyUse::kServerAndClient) server.next = &client;
    int status =
        mbedtls_x509write_crt_set_ext_key_usage(writer.get(), use == KeyUse::kClient ? &client : &server);
    if (status == 0)
        status = mbedtls_x509write_crt_set_key_usage(writer.get(), MBEDTLS_X509_KU_DIGITAL_SIGNATURE);
    if (status != 0) return fail_mbed(Errc::kInvalid, status, "certificate: key use");
    return {};
}

core::Result<void> set_names(CertificateWriter& writer, const std::string& subject,
                             const std::string& issuer) {
    int status = mbedtls_x509write_crt_set_subject_name(writer.get(), subject.c_str());
    if (status == 0) status = mbedtls_x509write_crt_set_issuer_name(writer.get(), issuer.c_str());
    if (status != 0) return fail_mbed(Errc::kInvalid, status, "certificate: names");
    return {};
}

core::Result<void> set_identifiers(CertificateWriter& writer) {
    int status = mbedtls_x509write_crt_set_subject_key_identifier(writer.get());
    if (status == 0) status = mbedtls_x509write_crt_set_authority_key_identifier(writer.get());
    if (status != 0) return fail_mbed(Errc::kInvalid, status, "certificate: key identifiers");
    return {};
}

}  // namespace

core::Result<std::string> make_ca(const KeyPair& key, const std::string& common_name,
                                  core::WallTime not_before, core::WallTime not_after) {
    CertificateWriter writer;
    TRY_ASSIGN(std::string subject, subject_of(common_name));
    TRY(set_names(writer, subject, subject));
    mbedtls_x509write_crt_set_subject_key(writer.get(), key.native());
    mbedtls_x509write_crt_set_issuer_key(writer.get(), key.native());
    TRY(set_serial(writer, ""));
    TRY(set_validity(writer, not_before, not_after));
    int status = mbedtls_x509write_crt_set_basic_constraints(writer.get(), 1, 0);
    if (status == 0) {
        status = mbedtls_x509write_crt_set_key_usage(
            writer.get(), MBEDTLS_X509_KU_KEY_CERT_SIGN | MBEDTLS_X509_KU_CRL_SIGN);
    }
    if (status != 0) return fail_mbed(Errc::kInvalid, status, "CA certificate");
    TRY(set_identifiers(writer));
    return writer.write_pem();
}

core::Result<std::string> issue_certificate(const KeyPair& ca_key, std::string_view ca_pem,
                                            const PublicKey& subject_key, const Issue& issue) {
    TRY_ASSIGN(Certificate ca, parse_certificate(ca_pem));
    if (!ca.is_ca) return core::fail(Errc::kInvalid, "the issuer's certificate is no CA certificate");
    if (ca.public_key_der != ca_key.public_key().to_der()) {
        return core::fail(Errc::kInvalid, "the CA's key does not belong to the CA's certificate");
    }
    TRY_ASSIGN(std::string issuer, subject_of(ca.common_name));
    TRY_ASSIGN(std::string subject, subject_of(issue.common_name));
    TRY_ASSIGN(SanList sans, SanList::make(issue.names));
    CertificateWriter writer;
    TRY(set_names(writer, subject, issuer));
    mbedtls_x509write_crt_set_subject_key(writer.get(), subject_key.native());
    mbedtls_x509write_crt_set_issuer_key(writer.get(), ca_key.native());
    TRY(set_serial(writer, issue.serial));
    TRY(set_validity(writer, issue.not_before, issue.not_after));
    TRY(set_key_use(writer, issue.use));
    int status = mbedtls_x509write_crt_set_basic_constraints(writer.get(), 0, -1);
    if (status == 0 && sans.get() != nullptr) {
        status = mbedtls_x509write_crt_set_subject_alternative_name(writer.get(), sans.get());
    }
    if (status != 0) return fail_mbed(Errc::kInvalid, status, "certificate: alternative names");
    TRY(set_identifiers(writer));
    return writer.write_pem();
}

}  // namespace smackd::net::crypto
