#include "storage/sqlite/database.h"

#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <thread>

#include "storage/sqlite/page.h"
#include "tests/unit/storage/sqlite/memory_disk.h"

namespace smackd::storage::sqlite {
namespace {

using core::Errc;
using test::MemoryDisk;

/// A table of `rows` rows of about 200 bytes.
Database filled(const Vfs& vfs, const std::string& path, int rows) {
    auto database = Database::open(vfs, path, Access::kCreate);
    REQUIRE(database);
    REQUIRE(database->execute("CREATE TABLE t(id INTEGER PRIMARY KEY, text TEXT)"));
    REQUIRE(database->begin_write());
    for (int i = 0; i < rows; ++i)
        REQUIRE(database->run("INSERT INTO t VALUES(?, ?)", {i, std::string(200, 'x')}));
    REQUIRE(database->commit());
    return std::move(*database);
}

int64_t count(Database& database) {
    const auto rows = database.integer("SELECT count(*) FROM t");
    REQUIRE(rows);
    return *rows;
}

TEST_CASE("values come back with their types") {
    MemoryDisk disk;
    const auto vfs = Vfs::over_disk(disk);
    auto database = Database::open(*vfs, "/d/a.db", Access::kCreate);
    REQUIRE(database);
    REQUIRE(database->execute("CREATE TABLE v(a, b, c, d)"));
    REQUIRE(database->run("INSERT INTO v VALUES(?, ?, ?, ?)",
                          {uint64_t{1} << 63U, "", Blob{std::string_view("\0\1", 2)}, Blob{{}}}));
    auto cursor = database->query("SELECT a, b, c, d, NULL, 1.5 FROM v");
    REQUIRE(cursor);
    REQUIRE(*cursor->next());
    const Statement& row = cursor->row();
    CHECK(row.number(0) == uint64_t{1} << 63U);
    CHECK(row.type(1) == ColumnType::kText);
    CHECK(row.text(1).empty());
    CHECK(row.blob(2) == std::string_view("\0\1", 2));
    CHECK(row.type(3) == ColumnType::kBlob);
    CHECK(row.type(4) == ColumnType::kNull);
    CHECK(row.real(5) == 1.5);
    CHECK_FALSE(*cursor->next());
}

TEST_CASE("an opened file that is missing or no database is refused") {
    MemoryDisk disk;
    const auto vfs = Vfs::over_disk(disk);
    CHECK(Database::open(*vfs, "/d/none.db", Access::kReadOnly).error().code == Errc::kNotFound);
    disk.load({{"/d/text.db", std::string(8192, 'a')}});
    CHECK(Database::open(*vfs, "/d/text.db", Access::kReadWrite).error().code == Errc::kCorrupt);
}

TEST_CASE("prepare takes exactly one statement") {
    MemoryDisk disk;
    const auto vfs = Vfs::over_disk(disk);
    auto database = filled(*vfs, "/d/a.db", 1);
    CHECK(database.prepare("SELECT 1; ").has_value());
    CHECK(database.prepare("SELECT 1; DELETE FROM t").error().code == Errc::kInvalid);
    CHECK(database.prepare("  ").error().code == Errc::kInvalid);
}

TEST_CASE("readers keep their snapshot while the writer goes on") {
    MemoryDisk disk;
    const auto vfs = Vfs::over_disk(disk);
    auto writer = filled(*vfs, "/d/a.db", 10);
    auto reader = Database::open(*vfs, "/d/a.db", Access::kReadOnly);
    REQUIRE(reader);
    REQUIRE(reader->begin_read());
    CHECK(count(*reader) == 10);
    REQUIRE(writer.run("INSERT INTO t VALUES(100, 'new')"));
    CHECK(count(*reader) == 10);
    CHECK(writer.checkpoint(true).error().code == Errc::kBusy);
    reader->rollback();
    CHECK(count(*reader) == 11);
    CHECK(writer.checkpoint(true).has_value());
    CHECK(reader->run("DELETE FROM t").has_value() == false);
}

TEST_CASE("two writers exclude each other") {
    MemoryDisk disk;
    const auto vfs = Vfs::over_disk(disk);
    auto first = filled(*vfs, "/d/a.db", 1);
    auto second = Database::open(*vfs, "/d/a.db", Access::kReadWrite);
    REQUIRE(second);
    REQUIRE(first.begin_write());
    CHECK(second->begin_write().error().code == Errc::kBusy);
    first.rollback();
    CHECK(second->begin_write().has_value());
    second->rollback();
}

TEST_CASE("any flipped bit of a database page is an error, never an answer") {
    MemoryDisk disk;
    const auto vfs = Vfs::over_disk(disk);
    {
        auto database = filled(*vfs, "/d/a.db", 60);
        REQUIRE(database.checkpoint(true));
    }
    const auto image = disk.image();
    const size_t bits = image.at("/d/a.db").size() * 8;
    REQUIRE(image.at("/d/a.db").size() % kPageBytes == 0);
    for (size_t bit = 0; bit < bits; bit += 97) {
        auto damaged = image;
        char& byte = damaged["/d/a.db"][bit / 8];
        byte = static_cast<char>(byte ^ (1 << (bit % 8)));
        disk.load(damaged);
        CAPTURE(bit);
        auto database = Database::open(*vfs, "/d/a.db", Access::kReadOnly);
        if (!database) {
            CHECK(database.error().code == Errc::kCorrupt);
            continue;
        }
        const auto verified = database->verify_pages();
        REQUIRE_FALSE(verified);
        CHECK(verified.error().code == Errc::kCorrupt);
    }
}

TEST_CASE("values longer than a page are checked as well") {
    MemoryDisk disk;
    const auto vfs = Vfs::over_disk(disk);
    {
        auto database = filled(*vfs, "/d/a.db", 3);
        for (int i = 10; i < 60; ++i) {
            REQUIRE(database.run("INSERT INTO t VALUES(?, ?)",
                                 {i, std::string(static_cast<size_t>(i) * 400, 'y')}));
        }
        REQUIRE(database.checkpoint(true));
    }
    // SQLite reads such values from the file in pieces, past its page cache.
    const auto read_all = [&]() -> core::Result<void> {
        TRY_ASSIGN(auto database, Database::open(*vfs, "/d/a.db", Access::kReadOnly));
        TRY_ASSIGN(auto cursor, database.query("SELECT id, text FROM t"));
        while (true) {
            TRY_ASSIGN(const bool more, cursor.next());
            if (!more) return {};
            if (cursor.row().integer(0) < 10) continue;
            if (cursor.row().text(1) !=
                std::string(static_cast<size_t>(cursor.row().integer(0)) * 400, 'y')) {
                return core::fail(Errc::kInvalid, "row {} is wrong", cursor.row().integer(0));
            }
        }
    };
    CHECK(read_all().has_value());
    const auto node = disk.node("/d/a.db");
    const size_t pages = node->now.size() / kPageBytes;
    for (size_t page = 1; page < pages; ++page) {
        node->now[page * kPageBytes + 1000] ^= 16;
        CAPTURE(page);
        const auto damaged = read_all();
        REQUIRE_FALSE(damaged);
        CHECK(damaged.error().code == Errc::kCorrupt);
        node->now[page * kPageBytes + 1000] ^= 16;
    }
}

TEST_CASE("a page read from another place is damage") {
    MemoryDisk disk;
    const auto vfs = Vfs::over_disk(disk);
    {
        auto database = filled(*vfs, "/d/a.db", 60);
        REQUIRE(database.checkpoint(true));
    }
    auto image = disk.image();
    std::string& bytes = image["/d/a.db"];
    REQUIRE(bytes.size() >= 4 * kPageBytes);
    bytes.replace(3 * kPageBytes, kPageBytes, bytes.substr(2 * kPageBytes, kPageBytes));
    disk.load(image);
    auto database = Database::open(*vfs, "/d/a.db", Access::kReadOnly);
    REQUIRE(database);
    const auto verified = database->verify_pages();
    REQUIRE_FALSE(verified);
    CHECK(verified.error().message.contains("page 4 of /d/a.db"));
}

TEST_CASE("a bit flipped in the WAL is seen when the frame is read") {
    MemoryDisk disk;
    const auto vfs = Vfs::over_disk(disk);
    auto database = filled(*vfs, "/d/a.db", 60);
    // A second connection has an empty page cache and so reads from the WAL.
    auto reader = Database::open(*vfs, "/d/a.db", Access::kReadOnly);
    REQUIRE(reader);
    const auto wal = disk.node("/d/a.db-wal");
    REQUIRE(wal);
    wal->now[wal->now.size() - 500] ^= 4;
    const auto rows = reader->integer("SELECT sum(length(text)) FROM t");
    REQUIRE_FALSE(rows);
    CHECK(rows.error().code == Errc::kCorrupt);
    CHECK(rows.error().message.contains("WAL frame"));
}

TEST_CASE("after a crash the WAL up to the last whole transaction counts") {
    MemoryDisk disk;
    const auto vfs = Vfs::over_disk(disk);
    {
        auto database = filled(*vfs, "/d/a.db", 5);
        REQUIRE(database.checkpoint(true));
        REQUIRE(database.run("INSERT INTO t VALUES(100, 'kept')"));
        REQUIRE(database.run("INSERT INTO t VALUES(101, 'torn')"));
        disk.dead = true;
    }
    disk.dead = false;
    const auto wal = disk.node("/d/a.db-wal");
    wal->now.resize(wal->now.size() - 100);
    auto database = Database::open(*vfs, "/d/a.db", Access::kReadWrite);
    REQUIRE(database);
    CHECK(count(*database) == 6);
}

TEST_CASE("a full disk is kDiskFull and the connection goes on when there is space") {
    MemoryDisk disk;
    const auto vfs = Vfs::over_disk(disk);
    auto database = filled(*vfs, "/d/a.db", 5);
    disk.full = true;
    const auto refused = database.run("INSERT INTO t VALUES(100, 'new')");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Errc::kDiskFull);
    database.rollback();
    CHECK(count(database) == 5);
    disk.full = false;
    disk.broken = true;
    CHECK(database.run("INSERT INTO t VALUES(100, 'new')").error().code == Errc::kIo);
    database.rollback();
    disk.broken = false;
    CHECK(database.run("INSERT INTO t VALUES(100, 'new')").has_value());
    CHECK(count(database) == 6);
}

TEST_CASE("a copy has what the pinned snapshot had, in one sealed file") {
    MemoryDisk disk;
    const auto vfs = Vfs::over_disk(disk);
    auto writer = filled(*vfs, "/d/a.db", 50);
    auto source = Database::open(*vfs, "/d/a.db", Access::kReadOnly);
    REQUIRE(source);
    REQUIRE(source->begin_read());
    REQUIRE(writer.run("DELETE FROM t WHERE id > 3"));
    {
        auto copy = Database::open_copy(*vfs, "/d/copy.db");
        REQUIRE(copy);
        REQUIRE(source->copy_to(*copy));
    }
    auto copy = Database::open(*vfs, "/d/copy.db", Access::kImmutable);
    REQUIRE(copy);
    CHECK(count(*copy) == 50);
    CHECK(copy->verify_pages().has_value());
    CHECK(copy->verify_structure().has_value());
    CHECK_FALSE(disk.node("/d/copy.db-wal"));
    // It was synced: a power cut takes nothing.
    const auto node = disk.node("/d/copy.db");
    CHECK(node->synced == node->now);
}

TEST_CASE("over the unix VFS pages are sealed and readable by two threads") {
    const auto directory = std::filesystem::temp_directory_path() / "smackd_sqlite_test";
    std::filesystem::remove_all(directory);
    std::filesystem::create_directories(directory);
    const std::string path = (directory / "a.db").string();
    const auto vfs = Vfs::over_unix();
    {
        auto writer = filled(*vfs, path, 100);
        int64_t seen = 0;
        std::thread other([&] {
            auto reader = Database::open(*vfs, path, Access::kReadOnly);
            if (reader) seen = reader->integer("SELECT count(*) FROM t").value_or(-1);
        });
        other.join();
        CHECK(seen == 100);
        CHECK(writer.checkpoint(true).has_value());
        CHECK(writer.verify_pages().has_value());
    }
    std::filesystem::remove_all(directory);
}

TEST_CASE("zero pages are sound, nearly zero ones are not") {
    std::string page(kPageBytes, '\0');
    CHECK(page_is_sound(page.data(), 9));
    page[4095] = 1;
    CHECK_FALSE(page_is_sound(page.data(), 9));
    page[4095] = 0;
    page[0] = 13;
    seal_page(page.data(), 9);
    CHECK(page_is_sound(page.data(), 9));
    CHECK_FALSE(page_is_sound(page.data(), 10));
}

}  // namespace
}  // namespace smackd::storage::sqlite
