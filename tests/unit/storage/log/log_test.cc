#include "storage/log/log.h"

#include <catch2/catch_test_macros.hpp>
#include <format>

#include "tests/sim/disk.h"

using namespace smackd;
using namespace smackd::storage;

namespace {

constexpr uint64_t kSegmentBytes = 16 * 1024;

LogEntry entry(uint64_t index, uint64_t term, size_t bytes = 40) {
    core::Bytes payload = std::format("{}@{} ", index, term);
    payload.resize(std::max(bytes, payload.size()), 'x');
    return LogEntry{.index = {index},
                    .term = {term},
                    .type = EntryType::kCommand,
                    .payload = std::make_shared<const core::Bytes>(payload)};
}

std::vector<LogEntry> entries(uint64_t first, uint64_t last, uint64_t term, size_t bytes = 40) {
    std::vector<LogEntry> list;
    for (uint64_t i = first; i <= last; ++i) list.push_back(entry(i, term, bytes));
    return list;
}

struct Opened {
    std::unique_ptr<Log> log;
    LogContents contents;
};

Opened open(sim::Disk& disk) {
    Opened opened;
    auto log = Log::open(disk, "/log", kSegmentBytes, opened.contents);
    REQUIRE(log.has_value());
    opened.log = std::move(*log);
    return opened;
}

/// "1@1 2@1 3@2": what the log says it holds; each payload must be what was appended.
std::string shape(const LogContents& contents) {
    std::string text;
    for (const LogEntry& e : contents.entries) {
        CHECK(e.payload->starts_with(std::format("{}@{} ", e.index.value, e.term.value)));
        text += std::format("{}@{} ", e.index.value, e.term.value);
    }
    return text;
}

struct World {
    core::SeededRandom random{7};
    sim::Disk disk{random};
};

}  // namespace

TEST_CASE("log: appended entries are read back") {
    World world;
    {
        auto [log, contents] = open(world.disk);
        CHECK(contents.entries.empty());
        CHECK(contents.first.value == 1);
        REQUIRE(log->append(entries(1, 3, 1)).has_value());
        REQUIRE(log->append(entries(4, 4, 2)).has_value());
    }
    world.disk.power_failure();
    auto [log, contents] = open(world.disk);
    CHECK(shape(contents) == "1@1 2@1 3@1 4@2 ");
    CHECK_FALSE(contents.damage.has_value());
    CHECK_FALSE(contents.torn);
}

TEST_CASE("log: a record supersedes those at and above its index") {
    World world;
    {
        auto opened = open(world.disk);
        REQUIRE(opened.log->append(entries(1, 6, 1)).has_value());
        REQUIRE(opened.log->append(entries(4, 5, 2)).has_value());
        REQUIRE(opened.log->append(entries(6, 6, 3)).has_value());
    }
    CHECK(shape(open(world.disk).contents) == "1@1 2@1 3@1 4@2 5@2 6@3 ");
}

TEST_CASE("log: grows over segments, and a cut keeps what is above it") {
    World world;
    {
        auto opened = open(world.disk);
        for (uint64_t i = 1; i <= 100; ++i) REQUIRE(opened.log->append(entries(i, i, 1, 1500)).has_value());
        REQUIRE(opened.log->cut_prefix(core::Index{60}).has_value());
    }
    world.disk.power_failure();
    const LogContents contents = open(world.disk).contents;
    CHECK(contents.first.value > 30);
    CHECK(contents.first.value <= 61);
    CHECK(contents.entries.back().index.value == 100);
    CHECK_FALSE(contents.damage.has_value());
}

TEST_CASE("log: an entry larger than a segment gets a segment of its own") {
    World world;
    {
        auto opened = open(world.disk);
        REQUIRE(opened.log->append(entries(1, 1, 1)).has_value());
        REQUIRE(opened.log->append(entries(2, 2, 1, 100'000)).has_value());
        REQUIRE(opened.log->append(entries(3, 3, 1)).has_value());
    }
    const LogContents contents = open(world.disk).contents;
    CHECK(shape(contents).size() == 12);
    CHECK(contents.entries[1].payload->size() == 100'000);
}

TEST_CASE("log: reset voids everything before it") {
    World world;
    {
        auto opened = open(world.disk);
        for (uint64_t i = 1; i <= 30; ++i) REQUIRE(opened.log->append(entries(i, i, 1, 1500)).has_value());
        REQUIRE(opened.log->reset(core::Index{101}).has_value());
    }
    {
        auto [log, contents] = open(world.disk);
        CHECK(contents.first.value == 101);
        CHECK(contents.entries.empty());
        REQUIRE(log->append(entries(101, 102, 5)).has_value());
    }
    CHECK(shape(open(world.disk).contents) == "101@5 102@5 ");
}

TEST_CASE("log: whatever the power failure leaves, synced entries stay and no operator is needed") {
    uint64_t torn = 0;
    for (uint64_t seed = 1; seed <= 400; ++seed) {
        core::SeededRandom random{seed};
        sim::Disk disk{random};
        uint64_t safe = 0;
        {
            auto opened = open(disk);
            disk.stop_after(random.below(60));
            for (uint64_t next = 1; !disk.stopped();) {
                const uint64_t last = next + random.below(4);
                if (!opened.log->append(entries(next, last, 1, 20 + random.below(4000)))) break;
                safe = last;
                next = last + 1;
            }
        }
        disk.power_failure();
        for (int round = 0; round < 2; ++round) {
            auto [log, contents] = open(disk);
            INFO("seed " << seed);
            if (contents.damage) INFO(contents.damage->what);
            REQUIRE_FALSE(contents.damage.has_value());
            REQUIRE(contents.first.value == 1);
            REQUIRE(contents.entries.size() >= safe);
            if (contents.torn) ++torn;
            shape(contents);
            const uint64_t next = contents.entries.size() + 1;
            REQUIRE(log->append(entries(next, next, 2)).has_value());
            safe = next;
        }
    }
    CHECK(torn > 20);  // or the test would show nothing
}

TEST_CASE("log: a flipped bit in any synced record is reported with the range that is lost") {
    for (uint64_t seed = 1; seed <= 300; ++seed) {
        core::SeededRandom random{seed};
        sim::Disk disk{random};
        const uint64_t count = 1 + random.below(25);
        {
            auto opened = open(disk);
            for (uint64_t i = 1; i <= count; ++i) {
                REQUIRE(opened.log->append(entries(i, i, 1, 20 + random.below(3000))).has_value());
            }
        }
        const std::string where = disk.flip_bit("/log/");
        auto [log, contents] = open(disk);
        INFO("seed " << seed << " flipped " << where);
        // Headers of segments and blank space hold no record: a flip there loses nothing.
        if (!contents.damage) {
            REQUIRE(contents.entries.size() == count);
            continue;
        }
        REQUIRE(contents.damage->first.value == contents.entries.size() + 1);
        REQUIRE((contents.damage->last.value == count || contents.damage->last.value == 0));
        shape(contents);
        REQUIRE(log->repair().has_value());
        const uint64_t next = contents.entries.size() + 1;
        REQUIRE(log->append(entries(next, next, 9)).has_value());
        log.reset();
        const LogContents after = open(disk).contents;
        REQUIRE_FALSE(after.damage.has_value());
        REQUIRE(after.entries.size() == next);
        REQUIRE(after.entries.back().term.value == 9);
    }
}

TEST_CASE("log: a flip in the very last record is not taken for a torn tail") {
    for (size_t bytes : {10U, 400U, 2000U}) {
        World world;
        {
            auto opened = open(world.disk);
            REQUIRE(opened.log->append(entries(1, 2, 1)).has_value());
            REQUIRE(opened.log->append(entries(3, 3, 1, bytes)).has_value());
        }
        auto file = world.disk.open("/log/log-00000000000000000001", core::OpenMode::kReadWrite);
        REQUIRE(file.has_value());
        char byte = 0;
        const uint64_t at = 3 * 512 - 512 + 60;  // header, batch one, then the last batch
        REQUIRE((*file)->read_at(at, &byte, 1).has_value());
        byte = static_cast<char>(byte ^ 0x10);
        REQUIRE((*file)->write_at(at, core::BytesView(&byte, 1)).has_value());
        const LogContents contents = open(world.disk).contents;
        REQUIRE(contents.damage.has_value());
        CHECK(contents.damage->first.value == 3);
        CHECK(contents.entries.size() == 2);
    }
}

TEST_CASE("log: a missing segment is damage") {
    World world;
    {
        auto opened = open(world.disk);
        for (uint64_t i = 1; i <= 40; ++i) REQUIRE(opened.log->append(entries(i, i, 1, 1500)).has_value());
    }
    REQUIRE(world.disk.remove("/log/log-00000000000000000002").has_value());
    const LogContents contents = open(world.disk).contents;
    REQUIRE(contents.damage.has_value());
    CHECK(contents.damage->last.value == 40);
}

TEST_CASE("log: a full disk refuses the append and the next one succeeds") {
    World world;
    auto opened = open(world.disk);
    REQUIRE(opened.log->append(entries(1, 1, 1)).has_value());
    world.disk.set_capacity(world.disk.used() + 1000);
    REQUIRE(opened.log->append(entries(2, 2, 1)).has_value());  // preallocated space
    const auto refused = opened.log->append(entries(3, 3, 1, 20'000));
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == core::Errc::kDiskFull);
    world.disk.set_capacity(0);
    REQUIRE(opened.log->append(entries(3, 3, 1, 20'000)).has_value());
    CHECK(open(world.disk).contents.entries.size() == 3);
}
