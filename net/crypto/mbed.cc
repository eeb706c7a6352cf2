#include "net/crypto/mbed.h"

#include <psa/crypto.h>
#include <sys/random.h>

#include <cerrno>
#include <format>

#include "core/assert.h"

namespace smackd::net::crypto {

void initialise() {
    static const bool done = [] { return psa_crypto_init() == PSA_SUCCESS; }();
    SMACK_ASSERT(done);
}

int kernel_random(void*, unsigned char* out, size_t count) {
    while (count > 0) {
        ssize_t got = getrandom(out, count, 0);
        if (got < 0 && errno == EINTR) continue;
        SMACK_ASSERT(got > 0);  // without randomness nothing can be done safely
        out += got;
        count -= static_cast<size_t>(got);
    }
    return 0;
}

OwnedPk make_pk() {
    initialise();
    auto* key = new mbedtls_pk_context;
    mbedtls_pk_init(key);
    return OwnedPk(key, [](mbedtls_pk_context* at) {
        mbedtls_pk_free(at);  // wipes
        delete at;
    });
}

OwnedCrt make_crt() {
    initialise();
    auto* certificate = new mbedtls_x509_crt;
    mbedtls_x509_crt_init(certificate);
    return OwnedCrt(certificate, [](mbedtls_x509_crt* at) {
        mbedtls_x509_crt_free(at);
        delete at;
    });
}

std::string mbed_text(int status) {
    char text[160] = {};
    mbedtls_strerror(status, text, sizeof text);
    return text;
}

std::unexpected<core::Error> fail_mbed(core::Errc code, int status, std::string_view what) {
    return core::fail(code, "{}: {}", what, mbed_text(status));
}

core::Result<OwnedCrt> parse_chain(core::BytesView pem_or_der, std::string_view what) {
    OwnedCrt chain = make_crt();
    std::string text(pem_or_der);  // PEM must end with NUL, which is counted
    bool pem = text.find("-----BEGIN") != std::string::npos;
    int status = mbedtls_x509_crt_parse(chain.get(), raw(core::BytesView(text)), text.size() + (pem ? 1 : 0));
    if (status < 0) return fail_mbed(core::Errc::kInvalid, status, what);
    if (status > 0)
        return core::fail(core::Errc::kInvalid, "{}: {} of its certificates cannot be read", what, status);
    return chain;
}

core::Result<OwnedPk> parse_private_key(std::string_view pem) {
    OwnedPk key = make_pk();
    std::string text(pem);
    int status = mbedtls_pk_parse_key(key.get(), raw(core::BytesView(text)), text.size() + 1, nullptr, 0,
                                      kernel_random, nullptr);
    explicit_bzero(text.data(), text.size());
    if (status != 0) return fail_mbed(core::Errc::kInvalid, status, "private key");
    return key;
}

}  // namespace smackd::net::crypto
