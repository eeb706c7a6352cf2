#include "storage/sqlite/wal.h"

#include <catch2/catch_test_macros.hpp>

#include "storage/sqlite/database.h"
#include "tests/unit/storage/sqlite/memory_disk.h"

namespace smackd::storage::sqlite {
namespace {

using core::Errc;
using test::MemoryDisk;
using Image = std::map<std::string, std::string>;

constexpr const char* kPath = "/d/a.db";
constexpr const char* kWal = "/d/a.db-wal";
constexpr const char* kMark = "/d/a.db-backfill";
constexpr int kRows = 180;
constexpr int kTransactions = 6;

/// Each transaction counts up row 0 and a row of another page; so a mixture of two moments shows.
void count_up(Database& database, int number) {
    REQUIRE(
        database.run("UPDATE t SET value = value + 1 WHERE id IN (0, ?)", {1 + number * 25 % (kRows - 1)}));
}

Database filled(const Vfs& vfs) {
    auto database = Database::open(vfs, kPath, Access::kCreate);
    REQUIRE(database);
    REQUIRE(database->execute("CREATE TABLE t(id INTEGER PRIMARY KEY, value INTEGER, text TEXT)"));
    REQUIRE(database->begin_write());
    for (int i = 0; i < kRows; ++i)
        REQUIRE(database->run("INSERT INTO t VALUES(?, 0, ?)", {i, std::string(200, 'x')}));
    REQUIRE(database->commit());
    REQUIRE(database->checkpoint(true));
    return std::move(*database);
}

/// A disk as a crash leaves it: a checkpoint copied the frames up to where a reader stood, `behind` more
/// transactions follow.
Image half_copied(int behind) {
    MemoryDisk disk;
    const auto vfs = Vfs::over_disk(disk);
    auto writer = filled(*vfs);
    for (int number = 1; number <= kTransactions - behind; ++number) count_up(writer, number);
    auto reader = Database::open(*vfs, kPath, Access::kReadOnly);
    REQUIRE(reader);
    REQUIRE(reader->begin_read());
    for (int number = kTransactions - behind + 1; number <= kTransactions; ++number) count_up(writer, number);
    const auto size = writer.checkpoint(false);
    REQUIRE(size);
    REQUIRE((behind == 0 || size->checkpointed < size->frames));
    return disk.image();
}

uint32_t marked(const Image& image) {
    const auto mark = decode_backfill_mark(image.at(kMark));
    REQUIRE(mark);
    return mark->frames;
}

struct Opened {
    bool mixed = false;
    int64_t value = 0;
};
Opened read_back(MemoryDisk& disk) {
    const auto vfs = Vfs::over_disk(disk);
    auto database = Database::open(*vfs, kPath, Access::kReadWrite);
    REQUIRE(database);
    const auto counted = database->integer("SELECT value FROM t WHERE id = 0");
    const auto found = database->integer("SELECT sum(value) FROM t WHERE id > 0");
    if (!counted || !found) return {.mixed = true};
    return {.mixed = *counted != *found, .value = *counted};
}

Image flipped(Image image, const std::string& path, size_t byte, int bit = 2) {
    image.at(path).at(byte) = static_cast<char>(image.at(path).at(byte) ^ (1 << bit));
    return image;
}

TEST_CASE("a backfill mark is read as it was written, or not at all") {
    const BackfillMark mark{.salts = {1, 2, 3, 4, 5, 6, 7, 8}, .frames = 70'000};
    const core::Bytes bytes = encode_backfill_mark(mark);
    CHECK(decode_backfill_mark(bytes) == mark);
    CHECK_FALSE(decode_backfill_mark(bytes.substr(1)));
    for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
        core::Bytes damaged = bytes;
        damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
        CHECK_FALSE(decode_backfill_mark(damaged));
    }
}

TEST_CASE("a flipped bit in a WAL never leads to a mixture of two moments") {
    for (const int behind : {0, 3}) {
        const Image image = half_copied(behind);
        const uint32_t needed = marked(image);
        const size_t bytes = image.at(kWal).size();
        REQUIRE(needed > 0);
        int would_mix = 0;
        for (size_t at = 0; at < bytes; at += at < kWalHeaderBytes ? 1 : 103) {
            CAPTURE(behind, at);
            MemoryDisk disk;
            disk.load(flipped(image, kWal, at));
            const auto checked = check_wal(disk, kPath);
            const bool within = at < kWalHeaderBytes + needed * kWalFrameBytes;
            CHECK(checked.has_value() == !within);
            if (!checked) CHECK(checked.error().code == Errc::kCorrupt);
            const Opened opened = read_back(disk);
            if (within) would_mix += opened.mixed ? 1 : 0;
            if (!within) {
                CHECK_FALSE(opened.mixed);
                CHECK(opened.value >= kTransactions - behind);
            }
        }
        CAPTURE(behind, needed, bytes);
        CHECK(would_mix > 0);  // what this is about does happen
    }
}

TEST_CASE("a torn tail behind the mark is normal") {
    const Image image = half_copied(3);
    const size_t whole = image.at(kWal).size();
    const size_t needed = kWalHeaderBytes + marked(image) * kWalFrameBytes;
    for (size_t size = needed; size < whole; size += 611) {
        CAPTURE(size);
        MemoryDisk disk;
        Image torn = image;
        torn[kWal].resize(size);
        disk.load(torn);
        CHECK(check_wal(disk, kPath).has_value());
        CHECK_FALSE(read_back(disk).mixed);
        torn[kWal].resize(whole);  // zeros where nothing arrived
        disk.load(torn);
        CHECK(check_wal(disk, kPath).has_value());
    }
    // A frame lost, the next one written: no write waits for another before a sync.
    MemoryDisk disk;
    Image lost = image;
    lost[kWal].replace(needed, kWalFrameBytes, std::string(kWalFrameBytes, '\0'));
    disk.load(lost);
    CHECK(check_wal(disk, kPath).has_value());
    CHECK_FALSE(read_back(disk).mixed);
}

TEST_CASE("without a readable mark sound frames behind a bad one are damage, a torn tail is not") {
    Image image = half_copied(3);
    MemoryDisk disk;
    const size_t last_frame = image.at(kWal).size() - kWalFrameBytes;
    for (const bool absent : {true, false}) {
        Image unmarked = flipped(image, kMark, 9);
        if (absent) unmarked.erase(kMark);
        disk.load(unmarked);
        CHECK(check_wal(disk, kPath).has_value());
        disk.load(flipped(unmarked, kWal, kWalHeaderBytes + kWalFrameBytes + 500));
        CHECK(check_wal(disk, kPath).error().code == Errc::kCorrupt);
        // The sum in a frame's header: the next frame does not follow from it, the one after does.
        disk.load(flipped(unmarked, kWal, kWalHeaderBytes + kWalFrameBytes + 17));
        CHECK(check_wal(disk, kPath).error().code == Errc::kCorrupt);
        disk.load(flipped(unmarked, kWal, last_frame + 500));
        CHECK(check_wal(disk, kPath).has_value());
    }
}

TEST_CASE("frames of an earlier writing behind the newer ones are no damage") {
    MemoryDisk disk;
    Image image;
    {
        const auto vfs = Vfs::over_disk(disk);
        auto writer = filled(*vfs);
        for (int number = 1; number <= kTransactions; ++number) count_up(writer, number);
        REQUIRE(writer.checkpoint(false));  // all of it: the next transaction starts over at frame 1
        const size_t before = disk.node(kWal)->now.size();
        count_up(writer, 100);
        REQUIRE(disk.node(kWal)->now.size() == before);
        image = disk.image();
    }
    disk.load(image);
    CHECK(check_wal(disk, kPath).has_value());
    CHECK(read_back(disk).value == kTransactions + 1);
    Image unmarked = image;
    unmarked.erase(kMark);
    disk.load(unmarked);
    CHECK(check_wal(disk, kPath).has_value());
    // The newest writing is not in the database file: what is damaged of it is cut and comes again.
    disk.load(flipped(image, kWal, kWalHeaderBytes + 500));
    CHECK(check_wal(disk, kPath).has_value());
    const Opened opened = read_back(disk);
    CHECK_FALSE(opened.mixed);
    CHECK(opened.value == kTransactions);
}

TEST_CASE("a checkpoint that cannot write its mark copies nothing") {
    MemoryDisk disk;
    const auto vfs = Vfs::over_disk(disk);
    auto writer = filled(*vfs);
    count_up(writer, 1);
    const std::string before = disk.node(kPath)->now;
    const Image marks = disk.image();
    disk.full = true;
    const auto refused = writer.checkpoint(false);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Errc::kDiskFull);
    CHECK(disk.node(kPath)->now == before);
    CHECK(disk.node(kMark)->now == marks.at(kMark));
    disk.full = false;
    CHECK(writer.checkpoint(false));
    CHECK(disk.node(kPath)->now != before);
}

TEST_CASE("the mark is on the disk before the first page is copied") {
    MemoryDisk disk;
    const auto vfs = Vfs::over_disk(disk);
    auto writer = filled(*vfs);
    count_up(writer, 1);
    const std::string before = disk.node(kPath)->now;
    disk.writes_until_dead = 2;  // the mark, then the first page
    CHECK_FALSE(writer.checkpoint(false));
    CHECK(disk.node(kPath)->now == before);
    const auto mark = disk.node(kMark);
    CHECK(mark->synced == mark->now);
    CHECK(decode_backfill_mark(mark->synced)->frames == writer.wal_frames());
}

TEST_CASE("no WAL, an empty one and one of zeros are nothing to worry about") {
    MemoryDisk disk;
    CHECK(check_wal(disk, kPath).has_value());
    disk.load({{kWal, ""}});
    CHECK(check_wal(disk, kPath).has_value());
    disk.load({{kWal, std::string(9000, '\0')}});
    CHECK(check_wal(disk, kPath).has_value());
}

}  // namespace
}  // namespace smackd::storage::sqlite
