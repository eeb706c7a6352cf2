#include "storage/log/metadata.h"

#include <catch2/catch_test_macros.hpp>

#include "tests/sim/disk.h"

using namespace smackd;
using namespace smackd::storage;

namespace {

Metadata value(uint64_t term, uint64_t vote) {
    return Metadata{.term = {term}, .vote = {vote}, .voters = 3, .damage_term = {}, .epoch = 0};
}

MetadataStore open(sim::Disk& disk) {
    REQUIRE(disk.make_directory("/m").has_value());
    REQUIRE(disk.sync_directory("/").has_value());
    auto store = MetadataStore::open(disk, "/m/meta");
    REQUIRE(store.has_value());
    return std::move(*store);
}

void flip(sim::Disk& disk, uint64_t at) {
    auto file = disk.open("/m/meta", core::OpenMode::kReadWrite);
    char byte = 0;
    REQUIRE((*file)->read_at(at, &byte, 1).has_value());
    byte = static_cast<char>(byte ^ 4);
    REQUIRE((*file)->write_at(at, core::BytesView(&byte, 1)).has_value());
}

}  // namespace

TEST_CASE("metadata: a vote survives a power failure") {
    core::SeededRandom random{3};
    sim::Disk disk{random};
    auto store = open(disk);
    CHECK(store.value() == Metadata{});
    for (uint64_t term = 1; term < 20; ++term) {
        REQUIRE(store.write(value(term, term % 3 + 1)).has_value());
        disk.power_failure();
        store = open(disk);
        REQUIRE(store.value() == value(term, term % 3 + 1));
    }
}

TEST_CASE("metadata: a crash in mid-write leaves the old value or the new one") {
    for (uint64_t seed = 1; seed <= 200; ++seed) {
        core::SeededRandom random{seed};
        sim::Disk disk{random};
        auto store = open(disk);
        REQUIRE(store.write(value(1, 1)).has_value());
        disk.stop_after(random.below(5));
        const bool done = store.write(value(2, 3)).has_value();
        disk.power_failure();
        const Metadata found = open(disk).value();
        if (done) {
            REQUIRE(found == value(2, 3));
        } else {
            REQUIRE((found == value(1, 1) || found == value(2, 3)));
        }
    }
}

TEST_CASE("metadata: one damaged copy is healed without losing the vote, two refuse") {
    for (const uint64_t copy : {0U, 4096U}) {
        core::SeededRandom random{1};
        sim::Disk disk{random};
        auto store = open(disk);
        REQUIRE(store.write(value(1, 1)).has_value());
        REQUIRE(store.write(value(5, 2)).has_value());
        flip(disk, copy + 13);
        store = open(disk);
        CHECK(store.healed());
        CHECK(store.value() == value(5, 2));
        CHECK_FALSE(open(disk).healed());
        flip(disk, 13);
        flip(disk, 4096 + 20);
        const auto refused = MetadataStore::open(disk, "/m/meta");
        REQUIRE_FALSE(refused.has_value());
        CHECK(refused.error().code == core::Errc::kCorrupt);
    }
}
