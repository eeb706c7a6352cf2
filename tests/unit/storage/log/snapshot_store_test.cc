#include "storage/log/snapshot_store.h"

#include <catch2/catch_test_macros.hpp>

#include "tests/sim/disk.h"

using namespace smackd;
using namespace smackd::storage;

namespace {

wire::SnapshotManifest take(sim::Disk& disk, SnapshotStore& store, uint64_t index) {
    auto folder = store.begin_taking();
    REQUIRE(folder.has_value());
    auto file = disk.open(*folder + "/state.db", core::OpenMode::kCreate);
    REQUIRE(file.has_value());
    REQUIRE((*file)
                ->write_at(0, core::Bytes(kSnapshotChunkBytes * 2 + 77, static_cast<char>('a' + index)))
                .has_value());
    wire::SnapshotManifest manifest;
    manifest.set_index(index);
    manifest.set_term(1);
    manifest.set_configuration("c");
    REQUIRE(store.finish_taking(manifest).has_value());
    store.adopt(manifest);
    return manifest;
}

struct World {
    core::SeededRandom random{5};
    sim::Disk disk{random};
    SnapshotStore store{disk, "/snapshots"};
    std::vector<std::string> damaged;
    World() {
        REQUIRE(store.open(damaged).has_value());
        REQUIRE(disk.sync_directory("/").has_value());
    }
};

}  // namespace

TEST_CASE("snapshots: what was finished is there after a power failure, newest first") {
    World world;
    take(world.disk, world.store, 10);
    take(world.disk, world.store, 20);
    take(world.disk, world.store, 30);
    REQUIRE(world.store.prune(2).has_value());
    world.disk.power_failure();
    SnapshotStore again(world.disk, "/snapshots");
    REQUIRE(again.open(world.damaged).has_value());
    REQUIRE(again.list().size() >= 2);
    CHECK(again.list()[0].index() == 30);
    CHECK(again.list()[1].index() == 20);
    CHECK(again.verify(again.list()[0]).has_value());
}

TEST_CASE("snapshots: a flipped bit is found") {
    for (uint64_t seed = 1; seed < 20; ++seed) {
        World world;
        const auto manifest = take(world.disk, world.store, 10);
        REQUIRE_FALSE(world.disk.flip_bit("state.db").empty());
        const auto verdict = world.store.verify(manifest);
        REQUIRE_FALSE(verdict.has_value());
        CHECK(verdict.error().code == core::Errc::kCorrupt);
    }
    World world;
    take(world.disk, world.store, 10);
    REQUIRE_FALSE(world.disk.flip_bit("MANIFEST").empty());
    SnapshotStore again(world.disk, "/snapshots");
    REQUIRE(again.open(world.damaged).has_value());
    CHECK(again.list().empty());
    CHECK(world.damaged.size() == 1);
}

TEST_CASE("snapshots: a transfer resumes where it stopped and is verified as a whole") {
    World leader;
    const auto manifest = take(leader.disk, leader.store, 10);
    World follower;
    auto have = follower.store.begin_incoming(manifest);
    REQUIRE(have.has_value());
    CHECK((*have)[0] == 0);
    const auto first = leader.store.read_chunk(manifest, 0, 0);
    REQUIRE(first.has_value());
    REQUIRE(follower.store.put_chunk(manifest, 0, 0, *first).has_value());
    CHECK_FALSE(follower.store.put_chunk(manifest, 0, 1, "rubbish").has_value());
    have = follower.store.begin_incoming(manifest);
    CHECK((*have)[0] == 1);
    CHECK_FALSE(follower.store.finish_incoming(manifest).has_value());
    for (uint32_t chunk = 1; chunk < 3; ++chunk) {
        REQUIRE(follower.store.put_chunk(manifest, 0, chunk, *leader.store.read_chunk(manifest, 0, chunk))
                    .has_value());
    }
    REQUIRE(follower.store.finish_incoming(manifest).has_value());
    follower.store.adopt(manifest);
    CHECK(follower.store.verify(manifest).has_value());
    CHECK_FALSE(leader.store.read_chunk(manifest, 0, 3).has_value());
    CHECK_FALSE(leader.store.read_chunk(manifest, 1, 0).has_value());
}

TEST_CASE("snapshots: a manifest that breaks a rule is refused") {
    World world;
    auto manifest = take(world.disk, world.store, 10);
    manifest.mutable_files(0)->set_name("../evil");
    CHECK_FALSE(check_manifest(manifest).has_value());
    manifest.mutable_files(0)->set_name("state.db");
    CHECK(check_manifest(manifest).has_value());
    manifest.mutable_files(0)->set_size(1ULL << 40U);
    CHECK_FALSE(check_manifest(manifest).has_value());
}
