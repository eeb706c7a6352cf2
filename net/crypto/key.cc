#include "net/crypto/key.h"

#include <mbedtls/ecp.h>
#include <psa/crypto.h>

extern "C" {  // two of its functions are declared outside its own extern "C"
#include <mbedtls/psa_util.h>
}

#include "core/assert.h"
#include "net/crypto/hash.h"
#include "net/crypto/mbed.h"

namespace smackd::net::crypto {

namespace {

constexpr size_t kCoordinateBits = 256;
constexpr size_t kPemBytesMax = 2048;
constexpr size_t kDerBytesMax = 512;

core::Result<void> check_p256(const mbedtls_pk_context& key) {
    bool elliptic = mbedtls_pk_get_type(&key) == MBEDTLS_PK_ECKEY;
    if (elliptic && mbedtls_ecp_keypair_get_group_id(mbedtls_pk_ec(key)) == MBEDTLS_ECP_DP_SECP256R1)
        return {};
    return core::fail(core::Errc::kInvalid, "the key must be an elliptic-curve key on P-256");
}

core::Result<PublicKey> parse_public(const unsigned char* bytes, size_t size) {
    OwnedPk key = make_pk();
    int status = mbedtls_pk_parse_public_key(key.get(), bytes, size);
    if (status != 0) return fail_mbed(core::Errc::kInvalid, status, "public key");
    TRY(check_p256(*key));
    return PublicKey(std::move(key));
}

}  // namespace

PublicKey::PublicKey(OwnedPk key) : key_(std::move(key)) {}
PublicKey::PublicKey(PublicKey&&) noexcept = default;
PublicKey& PublicKey::operator=(PublicKey&&) noexcept = default;
PublicKey::~PublicKey() = default;

core::Result<PublicKey> PublicKey::from_pem(std::string_view pem) {
    std::string text(pem);
    return parse_public(crypto::raw(core::BytesView(text)), text.size() + 1);
}

core::Result<PublicKey> PublicKey::from_der(core::BytesView der) {
    return parse_public(crypto::raw(der), der.size());
}

std::string PublicKey::to_pem() const {
    std::string pem(kPemBytesMax, '\0');
    SMACK_ASSERT(mbedtls_pk_write_pubkey_pem(key_.get(), raw(pem), pem.size()) == 0);
    pem.resize(pem.find('\0'));
    return pem;
}

core::Bytes PublicKey::to_der() const {
    core::Bytes der(kDerBytesMax, '\0');
    int length = mbedtls_pk_write_pubkey_der(key_.get(), raw(der), der.size());
    SMACK_ASSERT(length > 0);
    return der.substr(der.size() - static_cast<size_t>(length));  // mbedTLS writes from the end
}

core::Bytes PublicKey::sha256() const {
    return crypto::sha256(to_der());
}

bool PublicKey::verify_es256(core::BytesView message, core::BytesView signature) const {
    if (signature.size() != kEs256SignatureBytes) return false;
    unsigned char der[128];
    size_t der_size = 0;
    int status = mbedtls_ecdsa_raw_to_der(kCoordinateBits, raw(signature), signature.size(), der, sizeof der,
                                          &der_size);
    if (status != 0) return false;
    core::Bytes digest = crypto::sha256(message);
    return mbedtls_pk_verify(key_.get(), MBEDTLS_MD_SHA256, raw(digest), digest.size(), der, der_size) == 0;
}

KeyPair::KeyPair(OwnedPk key) : key_(std::move(key)) {}
KeyPair::KeyPair(KeyPair&&) noexcept = default;
KeyPair& KeyPair::operator=(KeyPair&&) noexcept = default;
KeyPair::~KeyPair() = default;

core::Result<KeyPair> KeyPair::generate() {
    OwnedPk key = make_pk();
    int status = mbedtls_pk_setup(key.get(), mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY));
    if (status == 0) {
        status = mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(*key), kernel_random, nullptr);
    }
    if (status != 0) return fail_mbed(core::Errc::kIo, status, "generate key");
    return KeyPair(std::move(key));
}

core::Result<KeyPair> KeyPair::from_pem(std::string_view pem) {
    TRY_ASSIGN(OwnedPk key, parse_private_key(pem));
    TRY(check_p256(*key));
    return KeyPair(std::move(key));
}

std::string KeyPair::to_pem() const {
    std::string pem(kPemBytesMax, '\0');
    SMACK_ASSERT(mbedtls_pk_write_key_pem(key_.get(), raw(pem), pem.size()) == 0);
    pem.resize(pem.find('\0'));
    return pem;
}

PublicKey KeyPair::public_key() const {
    core::Bytes der(kDerBytesMax, '\0');
    int length = mbedtls_pk_write_pubkey_der(key_.get(), raw(der), der.size());
    SMACK_ASSERT(length > 0);
    auto key = PublicKey::from_der(core::BytesView(der).substr(der.size() - static_cast<size_t>(length)));
    SMACK_ASSERT(key.has_value());
    return std::move(*key);
}

core::Bytes KeyPair::sign_es256(core::BytesView message) const {
    core::Bytes digest = crypto::sha256(message);
    unsigned char der[MBEDTLS_PK_SIGNATURE_MAX_SIZE];
    size_t der_size = 0;
    int status = mbedtls_pk_sign(key_.get(), MBEDTLS_MD_SHA256, raw(digest), digest.size(), der, sizeof der,
                                 &der_size, kernel_random, nullptr);
    SMACK_ASSERT(status == 0);
    core::Bytes signature(kEs256SignatureBytes, '\0');
    size_t size = 0;
    status =
        mbedtls_ecdsa_der_to_raw(kCoordinateBits, der, der_size, raw(signature), signature.size(), &size);
    SMACK_ASSERT(status == 0 && size == kEs256SignatureBytes);
    return signature;
}

}  // namespace smackd::net::crypto
