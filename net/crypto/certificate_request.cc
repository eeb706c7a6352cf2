// Certificate requests (PKCS #10): making and reading.

#include <mbedtls/md.h>

#include "net/crypto/certificate.h"
#include "net/crypto/mbed.h"
#include "net/crypto/x509_names.h"

namespace smackd::net::crypto {

using core::Errc;

namespace {

constexpr size_t kPemBytesMax = 16 * 1024;

class RequestWriter {
 public:
    RequestWriter() { mbedtls_x509write_csr_init(&context_); }
    ~RequestWriter() { mbedtls_x509write_csr_free(&context_); }
    RequestWriter(const RequestWriter&) = delete;
    RequestWriter& operator=(const RequestWriter&) = delete;
    mbedtls_x509write_csr* get() { return &context_; }

 private:
    mbedtls_x509write_csr context_{};
};

class ParsedRequest {
 public:
    ParsedRequest() { mbedtls_x509_csr_init(&request_); }
    ~ParsedRequest() { mbedtls_x509_csr_free(&request_); }
    ParsedRequest(const ParsedRequest&) = delete;
    ParsedRequest& operator=(const ParsedRequest&) = delete;
    mbedtls_x509_csr& get() { return request_; }

 private:
    mbedtls_x509_csr request_{};
};

}  // namespace

core::Result<std::string> make_request(const KeyPair& key, const std::string& common_name,
                                       const AltNames& names) {
    TRY_ASSIGN(std::string subject, subject_of(common_name));
    TRY_ASSIGN(SanList sans, SanList::make(names));
    RequestWriter writer;
    mbedtls_x509write_csr_set_md_alg(writer.get(), MBEDTLS_MD_SHA256);
    mbedtls_x509write_csr_set_key(writer.get(), key.native());
    int status = mbedtls_x509write_csr_set_subject_name(writer.get(), subject.c_str());
    if (status == 0 && sans.get() != nullptr) {
        status = mbedtls_x509write_csr_set_subject_alternative_name(writer.get(), sans.get());
    }
    std::string pem(kPemBytesMax, '\0');
    if (status == 0)
        status = mbedtls_x509write_csr_pem(writer.get(), raw(pem), pem.size(), kernel_random, nullptr);
    if (status != 0) return fail_mbed(Errc::kInvalid, status, "certificate request");
    pem.resize(pem.find('\0'));
    return pem;
}

namespace {

/// Proof of possession (RFC 2986 section 4.2, signature); mbedtls_x509_csr_parse does not look at it.
core::Result<void> check_signature(mbedtls_x509_csr& request) {
    mbedtls_md_type_t digest_kind = request.MBEDTLS_PRIVATE(sig_md);
    const mbedtls_md_info_t* info = mbedtls_md_info_from_type(digest_kind);
    unsigned char digest[MBEDTLS_MD_MAX_SIZE];
    const mbedtls_x509_buf& signature = request.MBEDTLS_PRIVATE(sig);
    int status = info == nullptr ? MBEDTLS_ERR_X509_UNKNOWN_SIG_ALG
                                 : mbedtls_md(info, request.cri.p, request.cri.len, digest);
    if (status == 0) {
        status = mbedtls_pk_verify_ext(request.MBEDTLS_PRIVATE(sig_pk), request.MBEDTLS_PRIVATE(sig_opts),
                                       &request.pk, digest_kind, digest, mbedtls_md_get_size(info),
                                       signature.p, signature.len);
    }
    if (status != 0)
        return fail_mbed(Errc::kCorrupt, status, "certificate request: it is not signed by its own key");
    return {};
}

}  // namespace

core::Result<CertificateRequest> parse_request(core::BytesView pem_or_der) {
    initialise();
    ParsedRequest parsed;
    std::string text(pem_or_der);
    bool pem = text.find("-----BEGIN") != std::string::npos;
    int status =
        mbedtls_x509_csr_parse(&parsed.get(), raw(core::BytesView(text)), text.size() + (pem ? 1 : 0));
    if (status != 0) return fail_mbed(Errc::kInvalid, status, "certificate request");
    TRY(check_signature(parsed.get()));
    core::Bytes der(512, '\0');
    int length = mbedtls_pk_write_pubkey_der(&parsed.get().pk, raw(der), der.size());
    if (length <= 0) return fail_mbed(Errc::kInvalid, length, "certificate request: key");
    TRY_ASSIGN(PublicKey key,
               PublicKey::from_der(core::BytesView(der).substr(der.size() - static_cast<size_t>(length))));
    TRY_ASSIGN(AltNames names, read_alt_names(parsed.get().subject_alt_names));
    return CertificateRequest{common_name_of(parsed.get().subject), std::move(names), std::move(key)};
}

}  // namespace smackd::net::crypto
