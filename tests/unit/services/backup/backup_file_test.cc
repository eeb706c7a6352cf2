#include "services/backup/backup_file.h"

#include <catch2/catch_test_macros.hpp>
#include <map>

#include "core/random.h"
#include "net/crypto/random.h"
#include "services/backup/backup_reader.h"
#include "services/backup/backup_writer.h"
#include "tests/unit/storage/sqlite/memory_disk.h"

using namespace smackd;
using namespace smackd::services;

namespace {

/// Keeps what comes.
struct CollectingSink final : BackupSink {
    wire::BackupManifest manifest;
    std::map<std::string, core::Bytes> files;
    int ended = 0;
    core::Result<void> begin(const wire::BackupManifest& given) override {
        manifest = given;
        return {};
    }
    core::Result<void> write(const std::string& file, core::BytesView bytes) override {
        files[file] += bytes;
        return {};
    }
    core::Result<void> end(const std::string& /*file*/) override {
        ++ended;
        return {};
    }
};

/// A backup of files that are no databases, on a disk in memory.
struct Fixture {
    test::MemoryDisk disk;
    std::unique_ptr<storage::sqlite::Vfs> vfs = storage::sqlite::Vfs::over_disk(disk);
    auth::RecoveryKey recovery = auth::RecoveryKey::random();
    auth::SealKey cluster = auth::SealKey::random();
    std::atomic<bool> cancelled{false};
    std::map<std::string, core::Bytes> files{
        {"realm.db", "principals"}, {"secrets.db", "sealed"}, {"state.db", "users and groups"}};

    core::Result<WrittenBackup> write(const std::string& path) {
        REQUIRE(disk.make_directory("/staging"));
        REQUIRE(disk.make_directory("/out"));
        for (const auto& [name, bytes] : files) REQUIRE(core::write_file(disk, "/staging/" + name, bytes));
        BackupSource source;
        source.manifest.set_epoch(2);
        source.manifest.set_revision(42);
        source.manifest.set_index(100);
        source.manifest.set_term(7);
        source.header.set_cluster_id(std::string(64, 'a'));
        source.header.set_wrapped_cluster_key(*recovery.wrap(cluster));
        source.header.set_time_ms(1'800'000'000'000);
        source.header.set_software("0.1");
        source.header.set_feature_level(2);
        const BackupPlace place{disk, *vfs, "/staging", path, cancelled};
        return write_backup_of("/staging", cluster, std::move(source), place);
    }
    core::Bytes bytes_of(const std::string& path) {
        auto bytes = core::read_file(disk, path, 64 << 20);
        REQUIRE(bytes);
        return *bytes;
    }
    core::Result<CollectingSink> read(core::BytesView bytes, const auth::RecoveryKey& key) {
        REQUIRE(core::write_file(disk, "/out/read", bytes));
        TRY_ASSIGN(BackupReader reader, BackupReader::open(disk, "/out/read"));
        TRY_ASSIGN(const auth::SealKey unwrapped, reader.unwrap(key));
        CollectingSink sink;
        TRY(reader.read(unwrapped, sink));
        return sink;
    }
};

core::Bytes noise(size_t size) {
    return net::crypto::random_bytes(size);  // does not compress
}

}  // namespace

TEST_CASE("a backup comes back as it was, by the recovery key alone") {
    Fixture fixture;
    fixture.files["state.db"] = noise(5 * kBackupChunkBytes + 17) + core::Bytes(3 << 20, 'x');
    auto written = fixture.write("/out/a.backup");
    REQUIRE(written);
    const core::Bytes bytes = fixture.bytes_of("/out/a.backup");
    CHECK(written->bytes == bytes.size());
    CHECK(bytes.size() < 6 * kBackupChunkBytes + 4096);  // the repetition is compressed away
    auto read = fixture.read(bytes, fixture.recovery);
    REQUIRE(read);
    CHECK(read->files == fixture.files);
    CHECK(read->ended == 3);
    CHECK(read->manifest.revision() == 42);
    CHECK(read->manifest.term() == 7);
    // Nothing is left beside it.
    CHECK(*fixture.disk.list("/out") == std::vector<std::string>{"a.backup", "read"});
}

TEST_CASE("the same state makes another file each time, and none shows its contents") {
    Fixture fixture;
    REQUIRE(fixture.write("/out/a.backup"));
    REQUIRE(fixture.write("/out/b.backup"));
    const core::Bytes first = fixture.bytes_of("/out/a.backup");
    const core::Bytes second = fixture.bytes_of("/out/b.backup");
    CHECK(first.substr(first.size() - 64) != second.substr(second.size() - 64));
    for (const char* text : {"principals", "users", "sealed", "state.db", "realm.db"})
        CHECK(first.find(text) == core::Bytes::npos);
    CHECK(first.find(fixture.cluster.bytes()) == core::Bytes::npos);
}

TEST_CASE("every changed byte, cut and addition of a backup is found") {
    Fixture fixture;
    REQUIRE(fixture.write("/out/a.backup"));
    const core::Bytes bytes = fixture.bytes_of("/out/a.backup");
    REQUIRE(bytes.size() < 2048);
    size_t accepted = 0;
    for (size_t at = 0; at < bytes.size(); ++at) {
        for (const unsigned flip : {0x01U, 0x80U, 0xffU}) {
            core::Bytes changed = bytes;
            changed[at] = static_cast<char>(static_cast<unsigned char>(changed[at]) ^ flip);
            accepted += fixture.read(changed, fixture.recovery).has_value() ? 1 : 0;
        }
    }
    CHECK(accepted == 0);
    for (size_t size = 0; size < bytes.size(); ++size)
        accepted += fixture.read(bytes.substr(0, size), fixture.recovery).has_value() ? 1 : 0;
    CHECK(accepted == 0);
    CHECK_FALSE(fixture.read(bytes + '\0', fixture.recovery));
    CHECK_FALSE(fixture.read(bytes + bytes, fixture.recovery));
    CHECK(fixture.read(bytes, fixture.recovery));
}

TEST_CASE("chunks cannot be cut off, moved, repeated or taken from another backup of the same cluster") {
    Fixture fixture;
    fixture.files["state.db"] = noise(4 * kBackupChunkBytes);
    REQUIRE(fixture.write("/out/a.backup"));
    REQUIRE(fixture.write("/out/b.backup"));
    const core::Bytes bytes = fixture.bytes_of("/out/a.backup");
    const core::Bytes other = fixture.bytes_of("/out/b.backup");
    const size_t begin = *header_size(bytes);
    REQUIRE(bytes.size() > begin + 4 * kSealedChunkBytes);
    const auto chunk = [&](const core::Bytes& file, size_t number) {
        return file.substr(begin + number * kSealedChunkBytes, kSealedChunkBytes);
    };
    const core::Bytes head = bytes.substr(0, begin);
    const core::Bytes rest = bytes.substr(begin + 2 * kSealedChunkBytes);
    auto cut = fixture.read(head + chunk(bytes, 0) + chunk(bytes, 1), fixture.recovery);
    REQUIRE_FALSE(cut);
    CHECK(cut.error().code == core::Errc::kCorrupt);
    CHECK(cut.error().message.find("chunk 2 (the last)") != std::string::npos);
    CHECK_FALSE(fixture.read(head + chunk(bytes, 1) + chunk(bytes, 0) + rest, fixture.recovery));
    CHECK_FALSE(fixture.read(head + chunk(bytes, 0) + chunk(bytes, 0) + rest, fixture.recovery));
    CHECK_FALSE(fixture.read(head + chunk(bytes, 0) + chunk(other, 1) + rest, fixture.recovery));
    CHECK_FALSE(fixture.read(head + rest, fixture.recovery));
    CHECK_FALSE(fixture.read(other.substr(0, begin) + bytes.substr(begin), fixture.recovery));
    CHECK(fixture.read(head + chunk(bytes, 0) + chunk(bytes, 1) + rest, fixture.recovery));
}

TEST_CASE("what is no backup, of another format or of another cluster is told apart") {
    Fixture fixture;
    REQUIRE(fixture.write("/out/a.backup"));
    core::Bytes bytes = fixture.bytes_of("/out/a.backup");
    auto wrong_key = fixture.read(bytes, auth::RecoveryKey::random());
    REQUIRE_FALSE(wrong_key);
    CHECK(wrong_key.error().code == core::Errc::kDenied);
    CHECK(wrong_key.error().message.find("cluster aaaaaaaaaaaa") != std::string::npos);
    auto no_backup = fixture.read("SQLite format 3, or so", fixture.recovery);
    REQUIRE_FALSE(no_backup);
    CHECK(no_backup.error().code == core::Errc::kInvalid);
    for (const char version : {'\0', '\2'}) {
        bytes[kBackupMagic.size()] = version;
        auto other_format = fixture.read(bytes, fixture.recovery);
        REQUIRE_FALSE(other_format);
        CHECK(other_format.error().code == core::Errc::kUnsupported);
        CHECK(other_format.error().message.find("backup format") != std::string::npos);
    }
}

TEST_CASE("contents must be what their manifest says") {
    wire::BackupManifest manifest;
    manifest.set_epoch(1);
    manifest.set_index(5);
    manifest.set_term(1);
    for (const std::string_view name : kBackupFiles) {
        wire::BackupFile* file = manifest.add_files();
        file->set_name(std::string(name));
        file->set_size(3);
    }
    const auto parse = [](const core::Bytes& contents, size_t piece) -> core::Result<void> {
        CollectingSink sink;
        ContentsParser parser(sink);
        for (size_t at = 0; at < contents.size(); at += piece)
            TRY(parser.write(core::BytesView(contents).substr(at, piece)));
        return parser.finish();
    };
    const core::Bytes good = encode_manifest(manifest) + "aaabbbccc";
    for (size_t piece = 1; piece <= good.size(); ++piece) CHECK(parse(good, piece));
    CHECK_FALSE(parse(good + "d", 7));
    for (size_t size = 0; size < good.size(); ++size) CHECK_FALSE(parse(good.substr(0, size), 5));
    wire::BackupManifest odd = manifest;
    odd.mutable_files(0)->set_name("../etc/passwd");
    CHECK_FALSE(parse(encode_manifest(odd) + "aaabbbccc", 100));
    odd = manifest;
    odd.mutable_files(2)->set_size(kBackupFileBytesMax + 1);
    CHECK_FALSE(parse(encode_manifest(odd) + "aaabbbccc", 100));
    odd = manifest;
    odd.mutable_files()->RemoveLast();
    CHECK_FALSE(parse(encode_manifest(odd) + "aaabbb", 100));
}

TEST_CASE("a backup that is given up leaves nothing behind") {
    Fixture fixture;
    fixture.cancelled = true;
    auto written = fixture.write("/out/a.backup");
    REQUIRE_FALSE(written);
    CHECK(written.error().code == core::Errc::kCancelled);
    CHECK(fixture.disk.list("/out")->empty());
}
