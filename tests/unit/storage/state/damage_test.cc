// What is damaged on the disk is found and set aside, never applied over.
#include <catch2/catch_test_macros.hpp>

#include "storage/sqlite/wal.h"
#include "tests/unit/storage/state/machine.h"

namespace smackd::storage::state {
namespace {

using core::Errc;
using test::command;
using test::Server;

TEST_CASE("a file that fell behind what state.db builds on is damage") {
    Server server;
    wire::Command with_principal = command();
    test::principal(with_principal, "alice@EXAMPLE.COM");
    server.ok(with_principal);
    server.stop();
    REQUIRE(server.disk.remove("/data/state/realm/realm.db"));
    REQUIRE(server.disk.remove("/data/state/realm/realm.db-wal"));
    server.restart();
    CHECK(server.machine().damage().contains("realm.db is at entry 0"));
    CHECK(server.machine().applied() == core::Index{0});
    CHECK(server.disk.node("/data/state/state.db.damaged"));
    server.ok(with_principal);
    CHECK(server.machine().revision().number == 1);
}

TEST_CASE("flipped bits are found at open and while running, never applied over") {
    Server server;
    for (int i = 0; i < 40; ++i) server.ok(test::put_setting("k" + std::to_string(i), std::string(300, 'v')));
    server.restart();  // empties the WALs
    server.stop();
    const auto image = server.disk.image();
    for (const char* path :
         {"/data/state/state.db", "/data/state/realm/realm.db", "/data/state/secrets.db"}) {
        const size_t bits = image.at(path).size() * 8;
        for (size_t bit = 5; bit < bits; bit += bits / 40) {
            auto damaged = image;
            char& byte = damaged[path][bit / 8];
            byte = static_cast<char>(byte ^ (1 << (bit % 8)));
            server.disk.load(damaged);
            CAPTURE(path, bit);
            server.restart();
            CHECK_FALSE(server.machine().damage().empty());
            CHECK(server.machine().applied() == core::Index{0});
            server.stop();
        }
    }
    server.disk.load(image);
    server.restart();
    const auto node = server.disk.node("/data/state/state.db");
    node->now[node->now.size() - 2000] ^= 1;
    const auto checked = server.machine().check_integrity();
    REQUIRE_FALSE(checked);
    CHECK(checked.error().code == Errc::kCorrupt);
    REQUIRE(server.machine().reset());
    CHECK(server.machine().applied() == core::Index{0});
    CHECK(server.machine().check_integrity().has_value());
}

/// True right after a checkpoint: until the next commit the WAL holds what was copied.
bool wal_was_copied(Server& server) {
    const auto wal = server.disk.node("/data/state/state.db-wal");
    const auto file = server.disk.node("/data/state/state.db-backfill");
    if (!wal || !file || wal->now.size() < 8192) return false;
    const auto mark = storage::sqlite::decode_backfill_mark(file->now);
    REQUIRE(mark);
    return wal->now.substr(16, 8) == std::string(mark->salts.data(), mark->salts.size());
}

TEST_CASE("a WAL that is damaged where its pages are in the database already is set aside") {
    Server server;
    int entries = 0;
    for (; entries < 200 && !wal_was_copied(server); ++entries)
        server.ok(test::put_setting("k" + std::to_string(entries), std::string(300, 'v')));
    REQUIRE(wal_was_copied(server));
    server.stop();
    auto image = server.disk.image();
    SECTION("a flipped bit") {
        image["/data/state/state.db-wal"][5000] ^= 1;
        server.disk.load(image);
        server.restart();
        CHECK(server.machine().damage().contains("state.db-wal"));
        CHECK(server.machine().applied() == core::Index{0});
        CHECK(server.disk.node("/data/state/state.db-wal.damaged"));
        CHECK_FALSE(wal_was_copied(server));
    }
    SECTION("nothing") {
        server.disk.load(image);
        server.restart();
        CHECK(server.machine().damage().empty());
        CHECK(server.machine().applied().value == static_cast<uint64_t>(entries));
    }
}

TEST_CASE("damage that a checkpoint meets stops apply") {
    Server server;
    wire::Command once = command();
    server.ok(test::machine(once, "zebra"));
    // The page of the machine's attributes is not written again, so its frame is what the checkpoint has to
    // copy.
    const auto wal = server.disk.node("/data/state/state.db-wal");
    const size_t place = wal->now.find("zebrarack7");
    REQUIRE(place != std::string::npos);
    wal->now[place] ^= 2;
    core::Result<std::vector<wire::CommandResult>> result;
    for (int i = 0; result && i < 50; ++i)
        result = server.try_entry({test::put_setting("a", std::string(5000, 'w'))});
    REQUIRE_FALSE(result);
    CHECK(result.error().code == Errc::kCorrupt);
    CHECK(result.error().message.contains("WAL frame"));
    REQUIRE(server.machine().reset());
    CHECK(server.machine().applied() == core::Index{0});
}

}  // namespace
}  // namespace smackd::storage::state
