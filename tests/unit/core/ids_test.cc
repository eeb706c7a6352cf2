#include "core/ids.h"

#include <catch2/catch_test_macros.hpp>
#include <unordered_set>

namespace smackd::core {
namespace {

TEST_CASE("numbers compare and count with their own kind") {
    CHECK(Index{1} < Index{2});
    CHECK(Index{1}.next() == Index{2});
    CHECK(NodeId{} == NodeId{0});
    static_assert(!std::is_convertible_v<Index, Term>);
    const std::unordered_set<NodeId> set{NodeId{1}, NodeId{2}, NodeId{1}};
    CHECK(set.size() == 2);
}

TEST_CASE("revisions are ordered by epoch first") {
    CHECK(Revision{1, 99} < Revision{2, 1});
    CHECK(Revision{2, 1} < Revision{2, 2});
}

TEST_CASE("revisions come back from their text") {
    for (const Revision revision : {Revision{0, 0}, Revision{3, 1042}, Revision{UINT64_MAX, UINT64_MAX}}) {
        CHECK(Revision::parse(revision.to_string()).value() == revision);
    }
    for (const char* bad : {"", "1", "1.", ".1", "1.2.3", "1.x", "a.1", "-1.2", "1.-2", " 1.2", "1.2 ",
                            "+1.2", "1,2", "18446744073709551616.1"}) {
        CAPTURE(bad);
        CHECK(Revision::parse(bad).error().code == Errc::kInvalid);
    }
}

}  // namespace
}  // namespace smackd::core
