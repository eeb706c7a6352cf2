#include <catch2/catch_test_macros.hpp>

#include "net/crypto/aead.h"
#include "net/crypto/certificate.h"
#include "net/crypto/hash.h"
#include "net/crypto/key.h"
#include "net/crypto/random.h"

namespace smackd::net::crypto {
namespace {

using core::Errc;
using core::from_hex;
using core::to_hex;
using core::WallTime;

constexpr int64_t kHour = 3'600'000;
const WallTime kNow{1'790'000'000'000};  // 2026-09-21

TEST_CASE("hashes match the published vectors") {
    CHECK(to_hex(sha256("abc")) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(to_hex(hmac_sha256("Jefe", "what do ya want for nothing?")) ==  // RFC 4231 case 2
          "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    // RFC 5869 case 1.
    core::Bytes okm = hkdf_sha256(core::Bytes(22, '\x0b'), *from_hex("000102030405060708090a0b0c"),
                                  *from_hex("f0f1f2f3f4f5f6f7f8f9"), 42);
    CHECK(to_hex(okm) ==
          "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
}

TEST_CASE("sealed bytes open with the same key and associated bytes only") {
    core::Bytes key = random_bytes(kAeadKeyBytes);
    core::Bytes sealed = seal(key, "secret", "name");
    CHECK(sealed.size() == 6 + kAeadOverheadBytes);
    CHECK(seal(key, "secret", "name") != sealed);
    CHECK(open(key, sealed, "name").value() == "secret");
    CHECK(open(key, sealed, "other").error().code == Errc::kCorrupt);
    CHECK(!open(random_bytes(kAeadKeyBytes), sealed, "name"));
    CHECK(!open(key, "short", "name"));
    for (size_t i = 0; i < sealed.size(); ++i) {
        core::Bytes damaged = sealed;
        damaged[i] = static_cast<char>(damaged[i] ^ 1);
        CHECK(!open(key, damaged, "name"));
    }
    CHECK(open(key, seal(key, "", ""), "").value().empty());
}

TEST_CASE("ES256 signatures verify for their message and key only") {
    KeyPair key = KeyPair::generate().value();
    core::Bytes signature = key.sign_es256("message");
    CHECK(signature.size() == kEs256SignatureBytes);
    PublicKey open_half = key.public_key();
    CHECK(open_half.verify_es256("message", signature));
    CHECK(!open_half.verify_es256("massage", signature));
    CHECK(!open_half.verify_es256("message", signature.substr(1)));
    CHECK(!open_half.verify_es256("message", core::Bytes(64, '\0')));
    CHECK(!KeyPair::generate()->public_key().verify_es256("message", signature));
}

TEST_CASE("keys survive PEM and DER") {
    KeyPair key = KeyPair::generate().value();
    KeyPair again = KeyPair::from_pem(key.to_pem()).value();
    CHECK(again.public_key().to_der() == key.public_key().to_der());
    CHECK(PublicKey::from_pem(key.public_key().to_pem())->sha256() == key.public_key().sha256());
    CHECK(PublicKey::from_der(key.public_key().to_der())->verify_es256("m", again.sign_es256("m")));
    CHECK(KeyPair::from_pem("nothing").error().code == Errc::kInvalid);
    CHECK(!PublicKey::from_der("junk"));
}

struct Authority {
    KeyPair key = KeyPair::generate().value();
    std::string pem =
        make_ca(key, "smackd test CA", WallTime{kNow.unix_ms - kHour}, WallTime{kNow.unix_ms + 1000 * kHour})
            .value();

    std::string issue(const PublicKey& subject, AltNames names) const {
        Issue issue;
        issue.common_name = "n1.example";
        issue.names = std::move(names);
        issue.not_before = WallTime{kNow.unix_ms - kHour};
        issue.not_after = WallTime{kNow.unix_ms + 24 * kHour};
        return issue_certificate(key, pem, subject, issue).value();
    }
};

TEST_CASE("a leaf carries its names and verifies under its CA while it is valid") {
    Authority authority;
    KeyPair key = KeyPair::generate().value();
    std::string pem = authority.issue(
        key.public_key(), {{"n1.example", "localhost"}, {"smack://c1/node/7"}, {"127.0.0.1", "::1"}});
    Certificate leaf = parse_certificate(pem).value();
    CHECK(leaf.common_name == "n1.example");
    CHECK(leaf.names.dns == std::vector<std::string>{"n1.example", "localhost"});
    CHECK(leaf.names.uris == std::vector<std::string>{"smack://c1/node/7"});
    CHECK(leaf.names.ips == std::vector<std::string>{"127.0.0.1", "::1"});
    CHECK(leaf.public_key_sha256 == key.public_key().sha256());
    CHECK(leaf.not_after.unix_ms == kNow.unix_ms + 24 * kHour);
    CHECK(leaf.serial.size() == 32);
    CHECK(!leaf.is_ca);
    CHECK(parse_certificate(leaf.der)->pem == leaf.pem);
    CHECK(parse_certificate(authority.pem)->is_ca);

    CHECK(verify_certificate(pem, authority.pem, kNow));
    auto late = verify_certificate(pem, authority.pem, WallTime{kNow.unix_ms + 25 * kHour});
    CHECK(late.error().code == Errc::kDenied);
    CHECK(late.error().message.find("expired on 2026-09-2") != std::string::npos);
    CHECK(!verify_certificate(pem, authority.pem, WallTime{kNow.unix_ms - 2 * kHour}));
    auto foreign = verify_certificate(pem, Authority().pem, kNow);
    CHECK(foreign.error().message.find("not signed by a CA") != std::string::npos);
}

TEST_CASE("issuing needs the CA's own key and clean names") {
    Authority authority;
    KeyPair other = KeyPair::generate().value();
    Issue issue;
    issue.common_name = "x";
    issue.not_before = kNow;
    issue.not_after = WallTime{kNow.unix_ms + kHour};
    CHECK(!issue_certificate(other, authority.pem, other.public_key(), issue));
    issue.common_name = "x,O=y";
    CHECK(!issue_certificate(authority.key, authority.pem, other.public_key(), issue));
    issue.common_name = "x";
    issue.names.dns = {std::string("a\0b", 3)};
    CHECK(!issue_certificate(authority.key, authority.pem, other.public_key(), issue));
    issue.names.dns.clear();
    issue.not_after = kNow;
    CHECK(!issue_certificate(authority.key, authority.pem, other.public_key(), issue));
    std::string leaf = authority.issue(other.public_key(), {});
    issue.not_after = WallTime{kNow.unix_ms + kHour};
    CHECK(!issue_certificate(other, leaf, other.public_key(), issue));  // a leaf signs nothing
}

TEST_CASE("a request proves that its key is held") {
    KeyPair key = KeyPair::generate().value();
    std::string pem = make_request(key, "n2", {{"n2.example"}, {"smack://c1/node/2"}, {}}).value();
    CertificateRequest request = parse_request(pem).value();
    CHECK(request.common_name == "n2");
    CHECK(request.names.dns == std::vector<std::string>{"n2.example"});
    CHECK(request.names.uris == std::vector<std::string>{"smack://c1/node/2"});
    CHECK(request.key.sha256() == key.public_key().sha256());

    // The last bytes are the signature: changed, the request still parses but proves nothing.
    size_t begin = pem.find('\n') + 1;
    std::string body = pem.substr(begin, pem.find("\n-----END") - begin);
    std::erase(body, '\n');
    core::Bytes der = core::from_base64(body).value();
    der.back() = static_cast<char>(der.back() ^ 1);
    CHECK(parse_request(der).error().code == Errc::kCorrupt);
    CHECK(parse_request("junk").error().code == Errc::kInvalid);
}

}  // namespace
}  // namespace smackd::net::crypto
