#include "cmd/smackd/output.h"

#include <catch2/catch_test_macros.hpp>

namespace smackd::cmd {
namespace {

TEST_CASE("cells show values as a person reads them") {
    CHECK(cell_text(core::Json()) == "-");
    CHECK(cell_text("alice") == "alice");
    CHECK(cell_text(true) == "yes");
    CHECK(cell_text(42) == "42");
    CHECK(cell_text(core::Json(core::Json::Array{"a", "b"})) == "a, b");
    CHECK(cell_text(core::Json::array()) == "-");
    CHECK(cell_text(core::Json::object()) == "-");
    CHECK(cell_text(core::Json::object().set("rack", "r1").set("ssd", true)) == "rack=r1, ssd=yes");
}

TEST_CASE("control characters from elsewhere do not reach the terminal") {
    CHECK(cell_text("a\x1b[2Jb") == "a [2Jb");
}

TEST_CASE("columns are aligned by characters and lines end without blanks") {
    CHECK(format_table({{"NAME", "STATE"}, {"n1", "up"}, {"länger", "down"}}) ==
          "NAME    STATE\nn1      up\nlänger  down\n");
    CHECK(format_table({{"A", "B"}, {"x", ""}}) == "A  B\nx\n");
}

}  // namespace
}  // namespace smackd::cmd
