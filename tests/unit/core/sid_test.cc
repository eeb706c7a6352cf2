#include "core/sid.h"

#include <catch2/catch_test_macros.hpp>

using namespace smackd;

TEST_CASE("the text of a SID") {
    const uint32_t domain_users[] = {21, 1004336348, 1177238915, 682003330, 513};
    CHECK(core::sid_to_text(5, domain_users) == "S-1-5-21-1004336348-1177238915-682003330-513");
    const uint32_t one[] = {0};
    CHECK(core::sid_to_text(0x123456789ABC, one) == "S-1-0x123456789ABC-0");
}

TEST_CASE("there is one text for one SID") {
    for (const char* good : {"S-1-5-21-1004336348-1177238915-682003330-513", "S-1-1-0", "S-1-5-32-544",
                             "S-1-0x123456789ABC-0", "S-1-5-4294967295"}) {
        INFO(good);
        CHECK(core::check_sid("sid", good));
    }
    const std::string long_one = "S-1-5" + std::string(15 * 2, '-');
    for (const std::string& bad :
         {std::string(), std::string("S-1-5"), std::string("S-1-5-"), std::string("s-1-5-32"),
          std::string("S-2-5-32"), std::string("S-1-5-032"), std::string("S-1-5-4294967296"),
          std::string("S-1-5--32"), std::string("S-1-0x5-32"), std::string("S-1-281474976710656-1"),
          std::string("S-1-5-32 "), std::string("S-1-5-+32"),
          std::string("S-1-5-1-2-3-4-5-6-7-8-9-10-11-12-13-14-15-16"), long_one,
          std::string("EXAMPLE\\ops")}) {
        INFO(bad);
        const auto checked = core::check_sid("sid", bad);
        REQUIRE_FALSE(checked);
        CHECK(checked.error().message.contains("must be a SID"));
    }
}
