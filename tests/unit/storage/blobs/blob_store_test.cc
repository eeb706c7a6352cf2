#include "storage/blobs/blob_store.h"

#include <catch2/catch_test_macros.hpp>

#include "core/random.h"
#include "tests/sim/disk.h"

using namespace smackd;
using namespace smackd::storage;
using core::Bytes;
using core::BytesView;
using core::Errc;

namespace {

/// Not SHA-256: storage has none of its own. 32 bytes that depend on all of the input.
class FoldingHasher final : public core::Hasher {
 public:
    void update(BytesView bytes) override {
        for (const char c : bytes) sum_[at_++ % 32] = static_cast<char>(sum_[at_ % 32] * 31 + c + 1);
    }
    Bytes finish() override { return sum_ + Bytes(); }

 private:
    Bytes sum_ = Bytes(32, '\1');
    size_t at_ = 0;
};

std::unique_ptr<core::Hasher> new_folding() {
    return std::make_unique<FoldingHasher>();
}

Digest digest_of(BytesView bytes) {
    FoldingHasher hasher;
    hasher.update(bytes);
    return Digest::of_sha256(hasher.finish());
}

struct Fixture {
    core::SeededRandom random{7};
    sim::Disk disk{random};
    std::unique_ptr<BlobStore> store;
    Fixture() { reopen(); }
    void reopen() {
        store.reset();
        auto opened = BlobStore::open(disk, "/blobs", new_folding);
        REQUIRE(opened);
        store = std::move(*opened);
    }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "a blob is there when it was committed, and after a restart") {
    const Bytes content(600000, 'x');
    const Digest digest = digest_of(content);
    CHECK(!store->has(digest));
    {
        auto writer = store->write(digest, content.size());
        REQUIRE(writer);
        REQUIRE((*writer)->append(BytesView(content).substr(0, 1000)));
        CHECK(store->write(digest, content.size()).error().code == Errc::kConflict);
        CHECK(!store->has(digest));
        REQUIRE((*writer)->append(BytesView(content).substr(1000)));
        CHECK(*(*writer)->commit() == digest);
    }
    CHECK(store->size(digest) == content.size());
    CHECK(store->bytes() == content.size());
    disk.power_failure();
    reopen();
    auto read = store->read(digest, 1000000);
    REQUIRE(read);
    CHECK(*read == content);
    CHECK(store->read(digest, 10).error().code == Errc::kInvalid);
}

TEST_CASE_METHOD(Fixture, "a broken download is gone on with") {
    const Bytes content = "0123456789";
    const Digest digest = digest_of(content);
    {
        auto writer = store->write(digest, content.size());
        REQUIRE((*writer)->append("01234"));
    }
    reopen();
    auto writer = store->write(digest, content.size());
    REQUIRE(writer);
    CHECK((*writer)->size() == 5);
    REQUIRE((*writer)->append("56789"));
    CHECK((*writer)->commit());
    CHECK(store->has(digest));
}

TEST_CASE_METHOD(Fixture, "wrong bytes get no name, and the next try begins anew") {
    const Digest digest = digest_of("right");
    for (const BytesView wrong : {"wrong", "righ", ""}) {
        auto writer = store->write(digest, 5);
        REQUIRE(writer);
        CHECK((*writer)->size() == 0);
        REQUIRE((*writer)->append(wrong));
        CHECK((*writer)->commit().error().code == Errc::kCorrupt);
        CHECK(!store->has(digest));
    }
    auto writer = store->write(digest, 5);
    CHECK((*writer)->append("too long").error().code == Errc::kInvalid);
    REQUIRE((*writer)->append("wr"));
    REQUIRE((*writer)->restart());
    REQUIRE((*writer)->append("right"));
    CHECK((*writer)->commit());
}

TEST_CASE_METHOD(Fixture, "what nobody references is collected") {
    const Digest kept = *store->put("kept");
    const Digest gone = *store->put("gone");
    const Digest coming = digest_of("coming");
    BlobStore::Reference hold(*store, kept);
    BlobStore::Reference expected(*store, coming);
    {
        auto one = store->write(coming, 6);
        REQUIRE((*one)->append("com"));
        auto two = store->write(digest_of("dropped"), 7);
        REQUIRE((*two)->append("dro"));
    }
    CHECK(*store->collect() == 4 + 3);
    CHECK(store->has(kept));
    CHECK(!store->has(gone));
    CHECK((*store->write(coming, 6))->size() == 3);
    {
        BlobStore::Reference moved = std::move(hold);
    }
    CHECK(store->references(kept) == 0);
    CHECK(*store->collect() == 4);
    CHECK(store->bytes() == 0);
}

TEST_CASE_METHOD(Fixture, "damage on the disk is noticed and removed") {
    const Digest digest = *store->put(Bytes(5000, 'x'));
    disk.flip_bit(digest.hex());
    CHECK(store->read(digest, 100000).error().code == Errc::kCorrupt);
    CHECK(!store->has(digest));
    CHECK(store->read(digest, 100000).error().code == Errc::kNotFound);
}

TEST_CASE_METHOD(Fixture, "after a power failure at any step a blob is whole or absent") {
    const Bytes content(5000, 'y');
    const Digest digest = digest_of(content);
    for (uint64_t calls = 1; calls < 12; ++calls) {
        Fixture machine;
        machine.disk.stop_after(calls);
        {
            auto writer = machine.store->write(digest, content.size());
            if (writer && (*writer)->append(content)) {
                auto done = (*writer)->commit();
                static_cast<void>(done);
            }
        }
        machine.disk.power_failure();
        machine.reopen();
        if (machine.store->has(digest)) {
            auto whole = machine.store->read(digest, 10000);
            REQUIRE(whole);
            CHECK(*whole == content);
        }
        auto again = machine.store->write(digest, content.size());
        REQUIRE(again);
        REQUIRE((*again)->restart());
        REQUIRE((*again)->append(content));
        REQUIRE((*again)->commit());
    }
}

TEST_CASE_METHOD(Fixture, "a full disk leaves nothing half done") {
    disk.set_capacity(1000);
    CHECK(store->put(Bytes(5000, 'x')).error().code == Errc::kDiskFull);
    CHECK(store->bytes() == 0);
    CHECK(store->put("small"));
}
