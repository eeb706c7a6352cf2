#include "cmd/smackd/nearest.h"

#include <array>
#include <catch2/catch_test_macros.hpp>

namespace smackd::cmd {
namespace {

TEST_CASE("edit distance counts swaps once") {
    CHECK(edit_distance("", "abc") == 3);
    CHECK(edit_distance("abc", "abc") == 0);
    CHECK(edit_distance("stauts", "status") == 1);
    CHECK(edit_distance("kitten", "sitting") == 3);
}

TEST_CASE("only a close word is offered") {
    std::array<std::string_view, 3> known{"status", "start", "user"};
    CHECK(nearest("stats", known) == "status");
    CHECK(nearest("usr", known) == "user");
    CHECK(nearest("frobnicate", known).empty());
    CHECK(nearest(std::string(1000, 's'), known).empty());
}

}  // namespace
}  // namespace smackd::cmd
