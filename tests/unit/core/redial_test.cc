#include "core/redial.h"

#include <catch2/catch_test_macros.hpp>
#include <set>

using namespace smackd::core;

TEST_CASE("each agent goes through the servers, beginning elsewhere") {
    Redial third(NodeId{3});
    Redial fourth(NodeId{4});
    CHECK(third.server(3) == 0);
    CHECK(fourth.server(3) == 1);
    std::set<size_t> dialled;
    for (int i = 0; i < 3; ++i) {
        dialled.insert(third.server(3));
        third.ended(milliseconds(10), 0.5);
    }
    CHECK(dialled.size() == 3);
    CHECK(third.server(1) == 0);
}

TEST_CASE("after a good stream the next server is dialled at once; pauses double to a limit and are drawn") {
    Redial redial(NodeId{1});
    CHECK(redial.ended(kGoodStream, 0) == Duration(0));
    CHECK(redial.ended(kGoodStream, 0.5) == kRedialFirst / 2);
    CHECK(redial.failures() == 0);
    CHECK(redial.ended(milliseconds(1), 0) == kRedialFirst);         // half of 200 ms
    CHECK(redial.ended(milliseconds(1), 0.5) == milliseconds(300));  // three quarters of 400 ms
    CHECK(redial.failures() == 2);
    for (int i = 0; i < 20; ++i) redial.ended(milliseconds(1), 0);
    CHECK(redial.ended(milliseconds(1), 0) == kRedialMax / 2);
    CHECK(redial.ended(milliseconds(1), 0.999) <= kRedialMax);
    CHECK(redial.ended(kGoodStream, 0.5) == kRedialFirst / 2);
}
