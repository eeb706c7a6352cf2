#include "auth/sealing.h"

#include <sys/stat.h>

#include <catch2/catch_test_macros.hpp>
#include <fstream>

#include "temporary_directory.h"

using namespace smackd;
using auth::RecoveryKey;
using auth::SealKey;
using auth::test::TemporaryDirectory;

TEST_CASE("a sealed value opens only under its key and its name") {
    const SealKey key = SealKey::random();
    const auto sealed = key.seal("realm/master", "secret");
    REQUIRE(sealed);
    CHECK_FALSE(sealed->contains("secret"));
    CHECK(*key.open("realm/master", *sealed) == "secret");
    CHECK(key.open("realm/other", *sealed).error().code == core::Errc::kCorrupt);
    CHECK_FALSE(SealKey::random().open("realm/master", *sealed));
    CHECK(*key.seal("realm/master", "secret") != *sealed);
    for (size_t i = 0; i < sealed->size(); i++) {
        std::string damaged = *sealed;
        damaged[i] = static_cast<char>(damaged[i] ^ 1);
        CHECK_FALSE(key.open("realm/master", damaged));
    }
    CHECK_FALSE(key.open("realm/master", ""));
    CHECK_FALSE(key.open("realm/master", sealed->substr(0, 10)));
}

TEST_CASE("the server key is made once, private, and seals the cluster key") {
    const TemporaryDirectory directory;
    const std::string path = directory / "server.key";
    const auto made = auth::load_or_create_server_key(path);
    REQUIRE(made);
    const auto again = auth::load_or_create_server_key(path);
    REQUIRE(again);
    CHECK(made->bytes() == again->bytes());
    struct stat about{};
    REQUIRE(::stat(path.c_str(), &about) == 0);
    CHECK((about.st_mode & 0777U) == 0600);

    const SealKey cluster = SealKey::random();
    REQUIRE(auth::write_cluster_key(directory / "cluster.key", *made, cluster));
    CHECK(auth::read_cluster_key(directory / "cluster.key", *made)->bytes() == cluster.bytes());
    CHECK_FALSE(auth::read_cluster_key(directory / "cluster.key", SealKey::random()));

    std::ofstream(path, std::ios::trunc) << "short";
    CHECK_FALSE(auth::load_or_create_server_key(path));
}

TEST_CASE("the recovery key survives people") {
    const RecoveryKey key = RecoveryKey::random();
    const std::string text = key.to_text();
    CHECK(text.size() == 14 * 4 + 13);
    const auto read = RecoveryKey::from_text(text);
    REQUIRE(read);
    CHECK(read->key.bytes() == key.key.bytes());

    std::string sloppy;
    for (const char c : text) {
        if (c == '-') continue;
        sloppy.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a')
                         : c == '0'           ? 'o'
                         : c == '1'           ? 'l'
                                              : c);
    }
    CHECK(RecoveryKey::from_text(sloppy)->key.bytes() == key.key.bytes());

    std::string typo = text;
    typo[3] = typo[3] == 'A' ? 'B' : 'A';
    CHECK(RecoveryKey::from_text(typo).error().message.contains("checksum"));
    CHECK(RecoveryKey::from_text(text.substr(0, 20)).error().message.contains("groups"));
    CHECK_FALSE(RecoveryKey::from_text(text + "A"));
    CHECK_FALSE(RecoveryKey::from_text("U" + text.substr(1)));  // U is not in the alphabet
}

TEST_CASE("the recovery key wraps the cluster key") {
    const RecoveryKey key = RecoveryKey::random();
    const SealKey cluster = SealKey::random();
    const auto wrapped = key.wrap(cluster);
    REQUIRE(wrapped);
    CHECK(key.unwrap(*wrapped)->bytes() == cluster.bytes());
    CHECK(RecoveryKey::random().unwrap(*wrapped).error().code == core::Errc::kDenied);
}
