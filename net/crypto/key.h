// Elliptic-curve keys on P-256: generation, PEM, ES256 signatures (RFC 7518 section 3.4).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/bytes.h"
#include "core/result.h"

struct mbedtls_pk_context;

namespace smackd::net::crypto {

inline constexpr size_t kEs256SignatureBytes = 64;  ///< r || s, 32 bytes each

/// A public key. Safe to use from several threads.
class PublicKey {
 public:
    PublicKey(PublicKey&&) noexcept;
    PublicKey& operator=(PublicKey&&) noexcept;
    ~PublicKey();

    /// kInvalid unless it is a P-256 key (SubjectPublicKeyInfo).
    static core::Result<PublicKey> from_pem(std::string_view pem);
    static core::Result<PublicKey> from_der(core::BytesView der);

    std::string to_pem() const;
    core::Bytes to_der() const;
    /// SHA-256 of to_der(): the key's identity.
    core::Bytes sha256() const;
    /// True when `signature` (r || s) over SHA-256 of `message` is by this key.
    bool verify_es256(core::BytesView message, core::BytesView signature) const;

    explicit PublicKey(std::unique_ptr<mbedtls_pk_context, void (*)(mbedtls_pk_context*)> key);
    mbedtls_pk_context* native() const { return key_.get(); }

 private:
    std::unique_ptr<mbedtls_pk_context, void (*)(mbedtls_pk_context*)> key_;
};

/// A private key with its public half. Safe to use from several threads; wiped when destroyed.
class KeyPair {
 public:
    KeyPair(KeyPair&&) noexcept;
    KeyPair& operator=(KeyPair&&) noexcept;
    ~KeyPair();

    static core::Result<KeyPair> generate();
    /// kInvalid unless it is an unencrypted P-256 private key (SEC 1 or PKCS #8).
    static core::Result<KeyPair> from_pem(std::string_view pem);

    /// SEC 1 PEM. Secret: seal it or store it 0600.
    std::string to_pem() const;
    PublicKey public_key() const;
    /// ES256 signature over SHA-256 of `message`: r || s.
    core::Bytes sign_es256(core::BytesView message) const;

    explicit KeyPair(std::unique_ptr<mbedtls_pk_context, void (*)(mbedtls_pk_context*)> key);
    mbedtls_pk_context* native() const { return key_.get(); }

 private:
    std::unique_ptr<mbedtls_pk_context, void (*)(mbedtls_pk_context*)> key_;
};

}  // namespace smackd::net::crypto
