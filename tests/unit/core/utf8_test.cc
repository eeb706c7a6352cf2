#include "core/utf8.h"

#include <catch2/catch_test_macros.hpp>

namespace smackd::core {
namespace {

TEST_CASE("the borders of well-formed UTF-8") {
    for (const char* good : {"", "a", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf",
                             "\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
        CHECK(is_utf8(good));
        CHECK(replace_invalid_utf8(good) == good);
    }
    for (const char* bad :
         {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2\x41", "\xe0\x9f\xbf", "\xed\xa0\x80",
          "\xe1\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "a\xf0\x90\x80"}) {
        CHECK_FALSE(is_utf8(bad));
        CHECK(is_utf8(replace_invalid_utf8(bad)));
    }
    CHECK(is_utf8(std::string_view("\0", 1)));
    CHECK(replace_invalid_utf8("a\xe2\x82"
                               "b\xff") ==
          "a\xEF\xBF\xBD\xEF\xBF\xBD"
          "b\xEF\xBF\xBD");
}

}  // namespace
}  // namespace smackd::core
