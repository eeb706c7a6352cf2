#include "core/json.h"

#include <catch2/catch_test_macros.hpp>
#include <limits>

namespace smackd::core {
namespace {

TEST_CASE("values of every kind come back") {
    const std::string text =
        R"({"a":null,"b":true,"c":-5,"d":1.5,"e":"x\u0000y","f":[1,[],{}],"g":{"h":"i"}})";
    const auto json = Json::parse(text);
    REQUIRE(json);
    CHECK((*json)["a"].is_null());
    CHECK((*json)["b"].as_bool());
    CHECK((*json)["c"].as_integer() == -5);
    CHECK((*json)["d"].as_number() == 1.5);
    CHECK((*json)["e"].as_string() == std::string("x\0y", 3));
    CHECK((*json)["f"].as_array().size() == 3);
    CHECK((*json)["g"]["h"].as_string() == "i");
    CHECK(Json::parse(json->dump()).value() == *json);
    CHECK(Json::parse(json->dump_pretty()).value() == *json);
    CHECK(json->dump() == text);
}

TEST_CASE("asking for another kind gives the fallback") {
    const Json number(7);
    CHECK(number.as_string().empty());
    CHECK(number.as_bool(true));
    CHECK(number.as_array().empty());
    CHECK(number.as_object().empty());
    CHECK(number.find("a") == nullptr);
    CHECK(number["a"]["b"].is_null());
    CHECK(Json("7").as_integer(3) == 3);
    CHECK(Json("7").as_number(2.5) == 2.5);
    CHECK(number.as_number() == 7.0);
}

TEST_CASE("what is no JSON is refused with the place") {
    for (const char* bad : {"",
                            " ",
                            "{",
                            "[1,]",
                            "{\"a\":1,}",
                            "01",
                            "nul",
                            "'a'",
                            "{a:1}",
                            "1 2",
                            "[1]x",
                            "\"\x01\"",
                            "\"\xff\"",
                            "\"\xc0\xaf\"",
                            "\"\xed\xa0\x80\"",
                            "\"\\ud800\"",
                            "NaN",
                            "Infinity",
                            "//x\n1",
                            "\xef\xbb\xbf"
                            "1"}) {
        CAPTURE(bad);
        const auto json = Json::parse(bad);
        REQUIRE_FALSE(json);
        CHECK(json.error().code == Errc::kInvalid);
        CHECK(json.error().message.starts_with("JSON: "));
    }
    CHECK(Json::parse("[1, x]").error().message.contains("at byte 4"));
}

TEST_CASE("a member name that stands twice is refused") {
    CHECK(Json::parse(R"({"a":1,"b":2,"a":3})").error().message.contains("'a' stands twice"));
    CHECK(Json::parse(R"({"a":1,"\u0061":3})").error().code == Errc::kInvalid);
    CHECK(Json::parse(R"([{"a":1},{"a":2}])").has_value());
}

TEST_CASE("depth and size are limited") {
    const std::string deepest = std::string(kJsonDepthMax, '[') + std::string(kJsonDepthMax, ']');
    CHECK(Json::parse(deepest).has_value());
    CHECK(Json::parse("[" + deepest + "]").error().message.contains("nested deeper"));
    CHECK(Json::parse(std::string(1'000'000, '[')).error().code == Errc::kInvalid);
    CHECK(Json::parse("\"" + std::string(1000, '[') + "\\\"[[\"").has_value());
    CHECK(Json::parse(std::string(kJsonBytesMax + 1, ' ')).error().message.contains("the limit is"));
}

TEST_CASE("integers keep all their digits") {
    const std::string least = std::to_string(std::numeric_limits<int64_t>::min());
    const std::string most = std::to_string(std::numeric_limits<int64_t>::max());
    CHECK(Json::parse(least)->as_integer() == std::numeric_limits<int64_t>::min());
    CHECK(Json::parse(most)->dump() == most);
    const auto beyond = Json::parse("18446744073709551615");
    CHECK_FALSE(beyond->is_integer());
    CHECK(beyond->is_number());
    CHECK(Json(uint64_t{5}).is_integer());
    CHECK_FALSE(Json(std::numeric_limits<uint64_t>::max()).is_integer());
}

TEST_CASE("building") {
    Json made;
    made.set("b", 1).set("a", "x").set("b", Json::array());
    made.set("list", Json().push(1).push("two"));
    CHECK(made.dump() == R"({"b":[],"a":"x","list":[1,"two"]})");
    CHECK(Json().dump() == "null");
    CHECK(Json::object().dump() == "{}");
    CHECK(Json(std::numeric_limits<double>::quiet_NaN()).dump() == "null");
    CHECK(Json(std::string("a\"\n\x01")).dump() == R"("a\"\n\u0001")");
    CHECK(Json("a\xff"
               "b")
              .dump() ==
          "\"a\xEF\xBF\xBD"
          "b\"");
    CHECK(Json::parse(Json().set("\xed\xa0\x80", "\xc0").dump()).has_value());
}

}  // namespace
}  // namespace smackd::core
