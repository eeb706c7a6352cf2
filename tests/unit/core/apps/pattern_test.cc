#include "core/apps/pattern.h"

#include <catch2/catch_test_macros.hpp>

namespace smackd::apps {
namespace {

bool matches(std::string_view pattern, std::string_view value) {
    const auto compiled = Pattern::compile(pattern);
    INFO(pattern);
    INFO((compiled ? "" : compiled.error().message));
    REQUIRE(compiled);
    return compiled->matches(value);
}

TEST_CASE("the whole value must match") {
    CHECK(matches("abc", "abc"));
    CHECK_FALSE(matches("abc", "abcd"));
    CHECK_FALSE(matches("abc", "xabc"));
    CHECK(matches("", ""));
    CHECK_FALSE(matches("", "a"));
    CHECK(matches(".*", ""));
    CHECK(matches("rack-.*", "rack-1"));
    CHECK_FALSE(matches("rack-.+", "rack-"));
}

TEST_CASE("the usual parts") {
    CHECK(matches("a|bc|", "bc"));
    CHECK(matches("a|bc|", ""));
    CHECK(matches("(a|b)*c", "ababc"));
    CHECK(matches("(?:ab)+", "abab"));
    CHECK_FALSE(matches("(?:ab)+", "aba"));
    CHECK(matches("colou?r", "color"));
    CHECK(matches("a{2}", "aa"));
    CHECK_FALSE(matches("a{2}", "aaa"));
    CHECK(matches("a{2,}", "aaaa"));
    CHECK_FALSE(matches("a{2,3}", "aaaa"));
    CHECK(matches("a{0}", ""));
    CHECK(matches("[a-c0-9_]+", "b_7"));
    CHECK_FALSE(matches("[^a-c]", "b"));
    CHECK(matches("[]a]", "]"));
    CHECK(matches("[a-]", "-"));
    CHECK(matches(R"([\d.]+)", "10.0.0.1"));
    CHECK(matches(R"(10\.0\.\d+\.\d+)", "10.0.3.44"));
    CHECK_FALSE(matches(R"(10\.0)", "10x0"));
    CHECK(matches(R"(\w+\s\S)", "ab_1 -"));
    CHECK(matches("^a$", "a"));
    CHECK_FALSE(matches("a^b", "ab"));
    CHECK(matches(".*?x", "aax"));
    CHECK(matches("(a*)*", "aaaa"));
    CHECK(matches("()", ""));
}

TEST_CASE("wrong patterns are named") {
    for (const auto* wrong : {"(",   ")",     "a)",      "(a",   "[",      "[a",      "*",
                              "+a",  "?",     "a{",      "a{x}", "a{3,2}", "a{1001}", "\\",
                              "[\\", "(?=a)", "(?<n>a)", "\\b",  "[z-a]",  "\\1",     "(a{1000}){1000}"}) {
        INFO(wrong);
        const auto pattern = Pattern::compile(wrong);
        REQUIRE_FALSE(pattern);
        CHECK(pattern.error().message.starts_with("at byte"));
    }
    CHECK_FALSE(Pattern::compile(std::string(kPatternBytesMax + 1, 'a')));
    CHECK_FALSE(Pattern::compile(std::string(60, '(') + std::string(60, ')')));
}

TEST_CASE("what makes others backtrack for ever takes linear time") {
    const std::string value(5000, 'a');
    CHECK_FALSE(matches("(a+)+b", value));
    CHECK_FALSE(matches("(a|aa)*c", value));
    CHECK_FALSE(matches("(.*)(.*)(.*)(.*)x", value));
}

}  // namespace
}  // namespace smackd::apps
