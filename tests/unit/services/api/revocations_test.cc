#include "services/api/revocations.h"

#include <catch2/catch_test_macros.hpp>

using namespace smackd;

TEST_CASE("a token is revoked by its id, or with all older ones of its principal") {
    wire::RevokeTokens one;
    one.set_token_id("abc");
    wire::RevokeTokens all;
    all.set_principal("alice@R");
    all.set_issued_before_ms(5000);
    const services::Revocations revocations({one, all});

    auth::TokenClaims claims;
    claims.subject = "bob@R";
    claims.id = "abc";
    CHECK(revocations.covers(claims));
    claims.id = "def";
    CHECK_FALSE(revocations.covers(claims));
    claims.subject = "alice@R";
    claims.issued_at_s = 4;
    CHECK(revocations.covers(claims));
    claims.issued_at_s = 5;
    CHECK_FALSE(revocations.covers(claims));
    CHECK_FALSE(services::Revocations().covers(claims));
}
