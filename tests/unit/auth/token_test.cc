#include "auth/token.h"

#include <catch2/catch_test_macros.hpp>
#include <set>

#include "core/json.h"

using namespace smackd;
using core::Errc;
using core::Json;
using core::WallTime;

namespace {

constexpr WallTime kNow{1'790'000'000'000};

WallTime later(int64_t seconds) {
    return WallTime{kNow.unix_ms + seconds * 1000};
}

class Revoked final : public auth::TokenRevocations {
 public:
    std::set<std::string> ids;
    int64_t issued_before_s = 0;
    bool revoked(const auth::TokenClaims& claims) const override {
        return ids.contains(claims.id) || claims.issued_at_s < issued_before_s;
    }
};

struct Fixture {
    auth::TokenKey key = *auth::TokenKey::generate();
    Revoked revoked;
    auth::TokenVerifier verifier{"cluster", &revoked, 4};

    Fixture() { REQUIRE(verifier.set_keys({key})); }
    std::string issue(WallTime at = kNow) const {
        return auth::issue_token(key, "cluster", "alice@R", at)->text;
    }
};

// Signs an arbitrary header and payload with the right key: what only a bug or an insider could.
std::string forge(const auth::TokenKey& key, const Json& header, const Json& payload) {
    std::string text = core::to_base64url(header.dump()) + "." + core::to_base64url(payload.dump());
    return text + "." +
           core::to_base64url(net::crypto::KeyPair::from_pem(key.private_key_pem)->sign_es256(text));
}

Json good_header(const auth::TokenKey& key) {
    return Json::object().set("alg", "ES256").set("typ", "JWT").set("kid", key.kid);
}

Json good_payload() {
    const int64_t at = kNow.unix_ms / 1000;
    return Json::object()
        .set("iss", "cluster")
        .set("aud", "smackd")
        .set("sub", "alice@R")
        .set("jti", "1")
        .set("iat", at)
        .set("nbf", at)
        .set("exp", at + 60);
}

}  // namespace

TEST_CASE_METHOD(Fixture, "a token is good for its life") {
    const auto token = auth::issue_token(key, "cluster", "alice@R", kNow);
    REQUIRE(token);
    const auto claims = verifier.verify(token->text, kNow);
    REQUIRE(claims);
    CHECK(*claims == token->claims);
    CHECK(claims->subject == "alice@R");
    CHECK(verifier.verify(token->text, later(3599)));
    const auto expired = verifier.verify(token->text, later(3600));
    REQUIRE_FALSE(expired);
    CHECK(expired.error().code == Errc::kUnauthenticated);
    CHECK(expired.error().message.contains("expired"));
    CHECK(verifier.verify(token->text, later(-60)));
    CHECK_FALSE(verifier.verify(token->text, later(-61)));
    CHECK_FALSE(auth::issue_token(key, "cluster", "alice@R", kNow, 0));
    CHECK_FALSE(auth::issue_token(key, "cluster", "alice@R", kNow, auth::kTokenLifeSecondsMax + 1));
}

TEST_CASE_METHOD(Fixture, "every changed bit of a token is noticed") {
    const std::string text = issue();
    REQUIRE(verifier.verify(text, kNow));
    for (size_t i = 0; i < text.size(); i += 7) {
        std::string damaged = text;
        damaged[i] = damaged[i] == 'A' ? 'B' : 'A';
        if (damaged != text) CHECK_FALSE(verifier.verify(damaged, kNow));
    }
    CHECK_FALSE(verifier.verify(text + "A", kNow));
    CHECK_FALSE(verifier.verify(text.substr(0, text.rfind('.') + 1), kNow));
}

TEST_CASE_METHOD(Fixture, "only the exact header is taken") {
    REQUIRE(verifier.verify(forge(key, good_header(key), good_payload()), kNow));
    for (const char* alg : {"none", "None", "HS256", "ES384", "RS256", ""}) {
        INFO(alg);
        CHECK_FALSE(verifier.verify(forge(key, good_header(key).set("alg", alg), good_payload()), kNow));
    }
    for (const char* member : {"jwk", "jku", "x5c", "x5u", "crit", "zip"}) {
        INFO(member);
        CHECK_FALSE(verifier.verify(forge(key, good_header(key).set(member, "x"), good_payload()), kNow));
    }
    CHECK_FALSE(verifier.verify(forge(key, good_header(key).set("kid", "other"), good_payload()), kNow));
    CHECK_FALSE(verifier.verify(
        forge(key, Json::object().set("alg", "ES256").set("typ", "JWT"), good_payload()), kNow));
}

TEST_CASE_METHOD(Fixture, "every claim is demanded and checked") {
    for (const char* claim : {"iss", "aud", "sub", "jti", "iat", "nbf", "exp"}) {
        Json payload = Json::object();
        for (const auto& [name, value] : good_payload().as_object()) {
            if (name != claim) payload.set(name, value);
        }
        INFO(claim);
        CHECK_FALSE(verifier.verify(forge(key, good_header(key), payload), kNow));
    }
    CHECK_FALSE(
        verifier.verify(forge(key, good_header(key), good_payload().set("iss", "other cluster")), kNow));
    CHECK_FALSE(verifier.verify(forge(key, good_header(key), good_payload().set("aud", "other")), kNow));
    CHECK_FALSE(verifier.verify(forge(key, good_header(key), good_payload().set("exp", "soon")), kNow));
    CHECK_FALSE(verifier.verify(
        forge(key, good_header(key), good_payload().set("exp", kNow.unix_ms / 1000 + 86400)), kNow));
    CHECK_FALSE(verifier.verify(
        forge(key, good_header(key), good_payload().set("sub", std::string(600, 'x'))), kNow));
}

TEST_CASE_METHOD(Fixture, "malformed and oversized texts are refused") {
    for (const char* text :
         {"", ".", "..", "...", "a.b", "a.b.c", "a.b.c.d", "e30.e30.", "bnVsbA.bnVsbA.AA"}) {
        INFO(text);
        CHECK_FALSE(verifier.verify(text, kNow));
    }
    CHECK_FALSE(verifier.verify(std::string(9000, 'a'), kNow));
}

TEST_CASE_METHOD(Fixture, "revocation counts for cached tokens too") {
    const std::string text = issue();
    const std::string id = verifier.verify(text, kNow)->id;
    REQUIRE(verifier.find_cached(text, kNow).has_value());
    revoked.ids.insert(id);
    CHECK(verifier.verify(text, kNow).error().message.contains("revoked"));
    CHECK_FALSE(verifier.find_cached(text, kNow)->has_value());
    revoked.ids.clear();
    CHECK(verifier.verify(text, kNow));
    revoked.issued_before_s = kNow.unix_ms / 1000 + 1;
    CHECK_FALSE(verifier.verify(text, kNow));
    CHECK(verifier.verify(issue(later(2)), later(2)));
}

TEST_CASE_METHOD(Fixture, "keys rotate by their id") {
    const std::string old_token = issue();
    const auth::TokenKey next = *auth::TokenKey::generate();
    REQUIRE(verifier.verify(old_token, kNow));
    REQUIRE(verifier.set_keys({next, key}));
    CHECK(verifier.verify(old_token, kNow));
    CHECK(verifier.verify(auth::issue_token(next, "cluster", "alice@R", kNow)->text, kNow));
    REQUIRE(verifier.set_keys({next}));
    CHECK_FALSE(verifier.find_cached(old_token, kNow).has_value());
    CHECK(verifier.verify(old_token, kNow).error().message.contains("no longer in use"));
    CHECK_FALSE(verifier.set_keys({auth::TokenKey{"x", "", "no key"}}));
    CHECK(auth::TokenKey::from_private_pem(next.private_key_pem)->kid == next.kid);
}

TEST_CASE_METHOD(Fixture, "the cache is bounded and forgets the least recently used") {
    std::vector<std::string> tokens;
    for (int i = 0; i < 5; i++) tokens.push_back(issue());
    for (int i = 0; i < 4; i++) REQUIRE(verifier.verify(tokens[static_cast<size_t>(i)], kNow));
    REQUIRE(verifier.find_cached(tokens[0], kNow).has_value());  // now the most recent
    REQUIRE(verifier.verify(tokens[4], kNow));
    CHECK(verifier.find_cached(tokens[0], kNow).has_value());
    CHECK_FALSE(verifier.find_cached(tokens[1], kNow).has_value());
    CHECK(verifier.find_cached(tokens[4], kNow).has_value());
}

TEST_CASE_METHOD(Fixture, "a task's token says so by its audience, and by nothing else") {
    const auto token = auth::issue_token(key, "cluster", "task:a.1", kNow, auth::kTaskTokenLifeSeconds,
                                         auth::TokenKind::kTask);
    REQUIRE(token);
    const auto claims = verifier.verify(token->text, kNow);
    REQUIRE(claims);
    CHECK(claims->kind() == auth::TokenKind::kTask);
    CHECK(verifier.verify(issue(), kNow)->kind() == auth::TokenKind::kUser);
    CHECK_FALSE(verifier.verify(token->text, later(auth::kTaskTokenLifeSeconds)));
    // A subject like a task's in a user's token is a user's; other audiences are nobody's.
    Json payload = good_payload();
    payload.set("sub", "task:a.1");
    CHECK(verifier.verify(forge(key, good_header(key), payload), kNow)->kind() == auth::TokenKind::kUser);
    for (const char* audience : {"smackd-task2", "Smackd-Task", "smackd-tas", "task"}) {
        payload.set("aud", audience);
        CHECK_FALSE(verifier.verify(forge(key, good_header(key), payload), kNow));
    }
}
