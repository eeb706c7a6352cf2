// Units, callbacks, and files read and replaced whole.
#include <catch2/catch_test_macros.hpp>

#include "core/callback.h"
#include "core/disk.h"
#include "core/units.h"
#include "tests/unit/storage/sqlite/memory_disk.h"

namespace smackd::core {
namespace {

TEST_CASE("sizes and durations for people") {
    CHECK(format_bytes(0) == "0 B");
    CHECK(format_bytes(1023) == "1023 B");
    CHECK(format_bytes(1536) == "1.5 KiB");
    CHECK(format_bytes(3 * kMiB) == "3.0 MiB");
    CHECK(format_bytes(5 * kGiB) == "5.0 GiB");
    CHECK(format_duration(std::chrono::microseconds(12)) == "12 us");
    CHECK(format_duration(milliseconds(350)) == "350 ms");
    CHECK(format_duration(milliseconds(1200)) == "1.2 s");
    CHECK(format_duration(seconds(600)) == "10 min");
    CHECK(format_duration(seconds(7200)) == "2.0 h");
}

TEST_CASE("a callback owns what it was given and moves") {
    auto owned = std::make_unique<int>(5);
    Callback<int(int)> add = [owned = std::move(owned)](int other) { return *owned + other; };
    CHECK(add(1) == 6);
    Callback<int(int)> moved = std::move(add);
    CHECK(static_cast<bool>(moved));
    CHECK_FALSE(static_cast<bool>(add));  // NOLINT(bugprone-use-after-move): that it is empty is the point
    CHECK(moved(2) == 7);
    const Callback<void()> none;
    CHECK_FALSE(static_cast<bool>(none));
    CHECK_FALSE(static_cast<bool>(Callback<void()>(nullptr)));
}

TEST_CASE("files are read with a limit and replaced whole") {
    test::MemoryDisk disk;
    CHECK(read_file(disk, "/d/a", 10).error().code == Errc::kNotFound);
    REQUIRE(write_file(disk, "/d/a", "first"));
    REQUIRE(write_file(disk, "/d/a", "2nd"));
    CHECK(read_file(disk, "/d/a", 3).value() == "2nd");
    CHECK(read_file(disk, "/d/a", 2).error().code == Errc::kInvalid);
    CHECK_FALSE(disk.node("/d/a.new"));
    disk.full = true;
    CHECK(write_file(disk, "/d/a", "third").error().code == Errc::kDiskFull);
    CHECK(read_file(disk, "/d/a", 10).value() == "2nd");
    disk.full = false;
    disk.lose_unsynced();
    CHECK(read_file(disk, "/d/a", 10).value() == "2nd");
}

}  // namespace
}  // namespace smackd::core
