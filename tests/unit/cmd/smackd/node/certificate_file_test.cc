#include "cmd/smackd/node/certificate_file.h"

#include <catch2/catch_test_macros.hpp>
#include <format>

#include "auth/cluster_ca.h"
#include "net/crypto/key.h"

namespace smackd::cmd {
namespace {

constexpr core::WallTime kNow{1'800'000'000'000};

struct Made {
    std::string certificate;
    std::string authority;
    std::string key;
};

Made make(const std::vector<std::string>& names) {
    const auto ca = auth::ClusterCa::create("test", kNow);
    REQUIRE(ca);
    const auto key = net::crypto::KeyPair::generate();
    REQUIRE(key);
    const auto issued = ca->issue_server(key->public_key().to_pem(), names, {}, kNow);
    REQUIRE(issued);
    return {issued->pem, ca->certificate_pem(), key->to_pem()};
}

std::string problem_of(const std::string& text) {
    const auto parsed = parse_certificate_file(text);
    REQUIRE_FALSE(parsed);
    return parsed.error().message;
}

wire::EdgeCertificate named(std::initializer_list<const char*> names) {
    wire::EdgeCertificate certificate;
    for (const char* name : names) certificate.add_server_names(name);
    return certificate;
}

TEST_CASE("a certificate file has the chain and its key, in any order and with text between") {
    const Made made = make({"Shop.Example.org", "*.shop.example.org"});
    for (const std::string& text :
         {made.certificate + made.authority + made.key,
          "the key\n" + made.key + "\nthe chain\n" + made.certificate + made.authority}) {
        const auto parsed = parse_certificate_file(text);
        REQUIRE(parsed);
        REQUIRE(parsed->server_names_size() == 2);
        CHECK(parsed->server_names(0) == "shop.example.org");
        CHECK(parsed->server_names(1) == "*.shop.example.org");
        CHECK(parsed->chain_pem().starts_with("-----BEGIN CERTIFICATE-----"));
        CHECK(parsed->key_pem().contains("PRIVATE KEY"));
    }
}

TEST_CASE("what a certificate file lacks is named") {
    const Made made = make({"a.example"});
    CHECK(problem_of("").contains("has no certificate"));
    CHECK(problem_of(made.certificate).contains("has no private key"));
    CHECK(problem_of(made.key).contains("has no certificate"));
    CHECK(problem_of(made.certificate + made.key + made.key).contains("more than one private key"));
    CHECK(problem_of(made.certificate + make({"b.example"}).key).contains("certificate and key"));
    CHECK(problem_of("-----BEGIN CERTIFICATE-----\nAAAA").contains("has no end"));
    CHECK(problem_of("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" + made.key) != "");
    CHECK(problem_of(std::string(kCertificateFileBytesMax + 1, 'x')).contains("limit"));
}

TEST_CASE("a name stands for itself, a wildcard for one label") {
    CHECK(covers(named({"a.example"}), "a.example"));
    CHECK(covers(named({"x", "*.example"}), "a.example"));
    CHECK_FALSE(covers(named({"*.example"}), "b.a.example"));
    CHECK_FALSE(covers(named({"*.example"}), "example"));
    CHECK_FALSE(covers(named({"*.example"}), ".example"));
    CHECK_FALSE(covers(named({}), "a.example"));
}

}  // namespace
}  // namespace smackd::cmd
