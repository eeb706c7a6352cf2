#include "auth/identity.h"

#include <catch2/catch_test_macros.hpp>

using namespace smackd;
using auth::IdentityKind;

namespace {

auth::IdentityRules rules() {
    auth::IdentityRules rules;
    rules.home_realm = "SMACK.TEST";
    return rules;
}

}  // namespace

TEST_CASE("principal names are read and written with krb5's escapes") {
    const auto parsed = auth::Principal::parse("HTTP/n1.example.com@SMACK.TEST");
    REQUIRE(parsed);
    CHECK(parsed->components == std::vector<std::string>{"HTTP", "n1.example.com"});
    CHECK(parsed->realm == "SMACK.TEST");
    const auto odd = auth::Principal::parse(R"(a\/b\@c@R)");
    REQUIRE(odd);
    CHECK(odd->components == std::vector<std::string>{"a/b@c"});
    CHECK(odd->to_string() == R"(a\/b\@c@R)");
}

TEST_CASE("malformed principal names are refused") {
    for (const char* text :
         {"", "alice", "alice@", "@R", "a//b@R", "a@b@R", "a\\", "a\\n@R", "a\x01@R", "/a@R"}) {
        INFO(text);
        CHECK_FALSE(auth::Principal::parse(text));
    }
    CHECK_FALSE(auth::Principal::parse(std::string(600, 'a') + "@R"));
}

TEST_CASE("principals of the home realm map by their form") {
    const auto user = auth::identify(rules(), "alice@SMACK.TEST");
    REQUIRE(user);
    CHECK(user->kind == IdentityKind::kUser);
    CHECK(user->name == "alice");
    const auto machine = auth::identify(rules(), "smack/n1.example.com@SMACK.TEST");
    REQUIRE(machine);
    CHECK(machine->kind == IdentityKind::kMachine);
    CHECK(machine->name == "n1.example.com");
    const auto service = auth::identify(rules(), "HTTP/n1@SMACK.TEST");
    REQUIRE(service);
    CHECK(service->kind == IdentityKind::kService);
    // An administrator's second principal is not that user.
    CHECK(auth::identify(rules(), "alice/admin@SMACK.TEST")->kind == IdentityKind::kService);
    // An escaped slash makes one component, and that is no user name of ours.
    CHECK_FALSE(auth::identify(rules(), R"(smack\/n1@SMACK.TEST)"));
    CHECK(auth::identify(rules(), "smack/N1..x@SMACK.TEST")->kind == IdentityKind::kService);
}

TEST_CASE("other realms are refused unless listed, and then need an exact mapping") {
    const auto refused = auth::identify(rules(), "alice@OTHER.TEST");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == core::Errc::kDenied);
    CHECK(refused.error().message.contains("OTHER.TEST"));
    CHECK(refused.error().message.contains("SMACK.TEST"));
    CHECK_FALSE(auth::identify(rules(), "alice@smack.test"));

    auto trusting = rules();
    trusting.allowed_realms = {"OTHER.TEST"};
    CHECK_FALSE(auth::identify(trusting, "alice@OTHER.TEST"));
    CHECK(auth::identify(trusting, "smack/n1@OTHER.TEST")->kind == IdentityKind::kService);
    trusting.users["alice@OTHER.TEST"] = "alice_other";
    CHECK(auth::identify(trusting, "alice@OTHER.TEST")->name == "alice_other");
}
