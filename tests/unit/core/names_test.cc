#include "core/names.h"

#include <catch2/catch_test_macros.hpp>
#include <string>

namespace smackd::core {
namespace {

using Check = Result<void> (*)(std::string_view);

void accepts(Check check, std::initializer_list<std::string> names) {
    for (const std::string& name : names) {
        CAPTURE(name);
        CHECK(check(name).has_value());
    }
}

void refuses(Check check, std::initializer_list<std::string> names) {
    for (const std::string& name : names) {
        CAPTURE(name);
        const auto result = check(name);
        REQUIRE_FALSE(result);
        CHECK(result.error().code == Errc::kInvalid);
    }
}

const std::string kLabel63(63, 'a');

TEST_CASE("machine names are host names in lower case") {
    accepts(check_machine_name,
            {"n1", "a", "n1.example.com", "0", "a-b.c-d", kLabel63, kLabel63 + "." + kLabel63});
    refuses(check_machine_name,
            {"", ".", "a.", ".a", "a..b", "-a", "a-", "a.-b", "N1", "a_b", "a b", "a/b", "a@b", "\xc3\xa4",
             kLabel63 + "a", std::string(254, 'a'), std::string("a\0b", 3), "a\n"});
}

TEST_CASE("users and groups") {
    accepts(check_user_name, {"alice", "_x", "a.b-c_d9", kLabel63});
    refuses(check_user_name,
            {"", "9a", "-a", ".a", "Alice", "a b", "a/b", "a@b", "a:b", "*", kLabel63 + "a", "a\n"});
    accepts(check_group_name, {"ops"});
    CHECK(check_group_name("Ops").error().message.starts_with("group name 'Ops'"));
    CHECK(check_user_name(std::string(1000, 'x')).error().message.size() < 200);
}

TEST_CASE("realms are domain names in upper case") {
    accepts(check_realm_name, {"EXAMPLE.COM", "A", "X-1.LOCAL"});
    refuses(check_realm_name, {"", "example.com", "EXAMPLE.", ".COM", "A B", "A/B", "A@B", "-A"});
}

TEST_CASE("principals") {
    accepts(check_principal_name,
            {"alice@EXAMPLE.COM", "smack/n1.example.com@A", "krbtgt/A@A", "K/M@A", "a/b/c/d@A"});
    refuses(check_principal_name,
            {"", "alice", "@A", "alice@", "alice@a", "a@A@A", "/a@A", "a/@A", "a//b@A", "a b@A", "a\\@A",
             "a/b/c/d/e@A", "\xc3\xa4@A", std::string("a\0@A", 4), std::string(255, 'a') + "@A"});
}

TEST_CASE("keys") {
    const auto check = [](std::string_view name) { return check_key("setting name", name); };
    accepts(check, {"a", "a/b.c:d_e-F9", std::string(128, 'a')});
    refuses(check, {"", "a b", "a\"", "\xc3\xa4", std::string(129, 'a'), "a\n", "*"});
    CHECK(check_key("rule id", "").error().message.starts_with("rule id ''"));
}

TEST_CASE("paths") {
    accepts(check_path, {"/", "/a", "/a/b-c.d/0", "/..a", "/a.."});
    refuses(check_path, {"", "a", "//", "/a/", "/a//b", "/.", "/..", "/a/../b", "/a/./b", "/A", "/a b",
                         "/a_b", "/a%2f", "/" + std::string(512, 'a')});
}

TEST_CASE("texts are UTF-8 of one line") {
    const auto check = [](std::string_view text) { return check_text("note", text, 10); };
    accepts(check, {"", "0123456789", "\xc3\xa4\xe2\x82\xac", "\xf0\x9f\x98\x80"});
    refuses(check, {"01234567890", "a\nb", "a\x7f", "\xff", "\xc3", "\xc0\xaf", "\xe2\x82",
                    "\xf5\x80\x80\x80", "\x80", std::string("a\0", 2)});
    // Overlong forms, surrogates and what is beyond U+10FFFF are not UTF-8 (RFC 3629).
    refuses(check, {"\xe0\x80\xaf", "\xed\xa0\x80", "\xf0\x80\x80\xaf", "\xf4\x90\x80\x80"});
}

}  // namespace
}  // namespace smackd::core
