#include "storage/agent/agent_copy.h"

#include <catch2/catch_test_macros.hpp>

#include "tests/unit/storage/sqlite/memory_disk.h"

namespace smackd::storage::agent {
namespace {

using core::Errc;
using core::Revision;

constexpr const char* kPath = "/data/agent.db";

struct Place {
    std::unique_ptr<AgentCopy> open(const std::string& cluster = "c1", uint64_t node = 5) {
        auto opened = AgentCopy::open(disk, *vfs, kPath, {cluster, core::NodeId{node}}, {});
        if (!opened) FAIL(opened.error().to_string());
        return std::move(*opened);
    }
    test::MemoryDisk disk;
    std::unique_ptr<sqlite::Vfs> vfs = sqlite::Vfs::over_disk(disk);
};

wire::AgentFeedItem item(uint64_t epoch, uint64_t revision) {
    wire::AgentFeedItem made;
    made.set_epoch(epoch);
    made.set_revision(revision);
    return made;
}
wire::AgentFeedItem& put(wire::AgentFeedItem& into, const std::string& kind, const std::string& key,
                         const std::string& bytes) {
    wire::AgentRow& row = *into.add_rows();
    row.set_kind(kind);
    row.set_key(key);
    row.set_row(bytes);
    row.set_version(into.revision());
    return into;
}
wire::AgentFeedItem snapshot(uint64_t epoch, uint64_t revision) {
    wire::AgentFeedItem made = item(epoch, revision);
    made.set_snapshot(true);
    return made;
}

/// "key=row ..." of a kind.
std::string shown(AgentCopy& copy, const char* kind) {
    const auto rows = copy.rows(kind);
    REQUIRE(rows);
    std::string text;
    for (const wire::AgentRow& row : *rows) text += row.key() + "=" + row.row() + " ";
    return text;
}

Errc code(const core::Result<bool>& result) {
    return result ? Errc{} : result.error().code;
}

TEST_CASE("a snapshot, then changes; after a crash the copy and its place belong together") {
    Place place;
    {
        auto copy = place.open();
        CHECK(copy->position() == Revision{});
        wire::AgentFeedItem first = snapshot(1, 10);
        first.set_more(true);
        put(put(first, "node", "1", "a"), "node", "2", "b");
        REQUIRE(copy->apply(first) == false);
        CHECK(copy->position() == Revision{});
        wire::AgentFeedItem last = item(1, 10);
        REQUIRE(copy->apply(put(last, "machine", "m", "x")) == true);
        wire::AgentFeedItem change = item(1, 12);
        put(change, "node", "2", "B");
        change.add_rows()->set_kind("node");
        change.mutable_rows(1)->set_key("1");
        change.mutable_rows(1)->set_removed(true);
        REQUIRE(copy->apply(change) == true);
        CHECK(shown(*copy, "node") == "2=B ");
    }
    for (const bool power_cut : {false, true}) {
        if (power_cut) place.disk.lose_unsynced();
        auto copy = place.open();
        CHECK(copy->position() == Revision{1, 12});
        CHECK(shown(*copy, "node") == "2=B ");
        CHECK(shown(*copy, "machine") == "m=x ");
    }
}

TEST_CASE("a snapshot that ends in the middle leaves the copy as it was") {
    Place place;
    auto copy = place.open();
    wire::AgentFeedItem whole = snapshot(1, 10);
    REQUIRE(copy->apply(put(whole, "node", "1", "a")));
    wire::AgentFeedItem part = snapshot(2, 3);
    part.set_more(true);
    REQUIRE(copy->apply(put(part, "node", "9", "z")) == false);
    {
        auto reader = AgentReader::open(*place.vfs, kPath);
        REQUIRE(reader);
        const auto rows = reader->rows("node");
        REQUIRE(rows);
        CHECK(rows->position == Revision{1, 10});
        REQUIRE(rows->rows.size() == 1);
        CHECK(rows->rows[0].key() == "1");
        CHECK_FALSE(reader->row("node", "9")->has_value());
        CHECK(reader->row("node", "1")->value().row() == "a");
    }
    copy->abandon();
    CHECK(copy->position() == Revision{1, 10});
    CHECK(shown(*copy, "node") == "1=a ");
    // A higher epoch replaces the whole copy.
    wire::AgentFeedItem next = snapshot(2, 3);
    REQUIRE(copy->apply(put(next, "node", "9", "z")) == true);
    CHECK(shown(*copy, "node") == "9=z ");
    CHECK(copy->position() == Revision{2, 3});
}

TEST_CASE("what would take the copy back is refused and changes nothing") {
    Place place;
    auto copy = place.open();
    REQUIRE(copy->apply(snapshot(2, 10)));
    CHECK(code(copy->apply(snapshot(1, 99))) == Errc::kDenied);
    CHECK(code(copy->apply(snapshot(2, 9))) == Errc::kDenied);
    CHECK(code(copy->apply(item(2, 9))) == Errc::kDenied);
    CHECK(code(copy->apply(item(3, 11))) == Errc::kInvalid);
    wire::AgentFeedItem part = item(2, 11);
    part.set_more(true);
    CHECK(code(copy->apply(part)) == Errc::kInvalid);
    wire::AgentFeedItem nameless = item(2, 11);
    CHECK(code(copy->apply(put(nameless, "", "k", "x"))) == Errc::kInvalid);
    wire::AgentFeedItem large = item(2, 11);
    CHECK(code(copy->apply(put(large, "node", "k", std::string(kAgentRowBytesMax, 'x')))) == Errc::kInvalid);
    wire::AgentFeedItem begun = snapshot(2, 20);
    begun.set_more(true);
    REQUIRE(copy->apply(begun) == false);
    CHECK(code(copy->apply(item(2, 21))) == Errc::kInvalid);  // a snapshot of 20 does not go on as 21
    copy->abandon();
    CHECK(copy->position() == Revision{2, 10});
    REQUIRE(copy->apply(item(2, 10)) == true);
}

TEST_CASE("a full disk loses nothing of the copy") {
    Place place;
    auto copy = place.open();
    wire::AgentFeedItem first = snapshot(1, 1);
    REQUIRE(copy->apply(put(first, "node", "1", "a")));
    place.disk.full = true;
    wire::AgentFeedItem second = item(1, 2);
    put(second, "node", "2", std::string(50'000, 'b'));
    CHECK(code(copy->apply(second)) == Errc::kDiskFull);
    place.disk.full = false;
    CHECK(copy->position() == Revision{1, 1});
    CHECK(shown(*copy, "node") == "1=a ");
    REQUIRE(copy->apply(second) == true);
}

TEST_CASE("a copy of another cluster or node, or a damaged one, is set aside and begun anew") {
    Place place;
    wire::AgentFeedItem first = snapshot(1, 7);
    REQUIRE(place.open()->apply(put(first, "node", "1", "a")));
    CHECK(place.open()->position() == Revision{1, 7});
    CHECK(place.open("c1", 6)->position() == Revision{});
    REQUIRE(place.open("c1", 6)->apply(put(first, "node", "1", "a")));
    CHECK(place.open("c2", 6)->position() == Revision{});
    REQUIRE(place.open("c2", 6)->apply(first));
    CHECK(place.open("c2", 6)->position() == Revision{1, 7});  // its WAL is in the file now
    auto file = place.disk.open(kPath, core::OpenMode::kReadWrite);
    REQUIRE(file);
    REQUIRE((*file)->write_at(4096 + 100, "\xde\xad\xbe\xef"));
    auto anew = place.open("c2", 6);
    CHECK(anew->position() == Revision{});
    CHECK(shown(*anew, "node").empty());
    CHECK(place.disk.exists(std::string(kPath) + ".damaged") == true);
    REQUIRE(anew->apply(first));
}

}  // namespace
}  // namespace smackd::storage::agent
