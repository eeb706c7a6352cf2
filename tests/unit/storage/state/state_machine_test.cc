#include "storage/state/state_machine.h"

#include <catch2/catch_test_macros.hpp>

#include "tests/unit/storage/state/machine.h"

namespace smackd::storage::state {
namespace {

using core::Errc;
using test::command;
using test::Server;

TEST_CASE("each change gets the next revision, and a restart keeps it") {
    Server server;
    CHECK(server.ok(test::put_setting("a", "1")) == 1);
    wire::Command two = command();
    test::setting(test::setting(two, "b", "1"), "c", "1");
    CHECK(server.ok(two) == 3);
    const std::string digest = server.digest();
    server.restart();
    CHECK(server.machine().revision() == core::Revision{1, 3});
    CHECK(server.machine().applied() == core::Index{2});
    CHECK(server.digest() == digest);
    CHECK(server.machine().damage().empty());
}

TEST_CASE("a command is done whole or not at all") {
    Server server;
    server.ok(test::put_setting("a", "1"));
    wire::Command bad = command();
    test::setting(bad, "a", "2");
    test::principal(bad, "alice@EXAMPLE.COM");
    test::secret(bad, "s", "sealed");
    test::setting(bad, "not a name", "3");
    const std::string before = server.digest();
    const auto refused = server.run(bad);
    CHECK(test::code(refused) == Errc::kInvalid);
    CHECK(refused.message().contains("setting name 'not a name'"));
    CHECK(refused.revision() == 1);
    CHECK(server.digest() == before);
}

TEST_CASE("a command proposed twice is applied once, refusals included") {
    Server server;
    wire::Command once = test::put_setting("a", "1");
    once.set_client(7);
    once.set_sequence(1);
    CHECK(server.run(once).revision() == 1);
    server.ok(test::put_setting("a", "2"));
    CHECK(server.run(once).revision() == 1);
    server.restart();
    CHECK(server.run(once).revision() == 1);
    CHECK(server.machine().revision().number == 2);

    wire::Command refused = test::put_setting("", "1");
    refused.set_client(7);
    refused.set_sequence(2);
    CHECK(test::code(server.run(refused)) == Errc::kInvalid);
    refused.mutable_changes(0)->mutable_put_setting()->set_name("fine");
    CHECK(test::code(server.run(refused)) == Errc::kInvalid);
    refused.set_sequence(3);
    CHECK(server.run(refused).code() == 0);
}

TEST_CASE("results are forgotten by number, age and session, the same with any batching") {
    Retention retention;
    retention.results_max = 10;
    retention.results_min = 3;
    retention.result_age_max_ms = 1000;
    retention.results_per_client = 4;
    const auto numbered = [](uint64_t client, uint64_t sequence, int64_t time_ms) {
        wire::Command made = test::put_setting("a", std::to_string(sequence));
        made.set_client(client);
        made.set_sequence(sequence);
        made.set_time_ms(time_ms);
        return made;
    };
    Server single(retention);
    Server batched(retention);
    std::vector<wire::Command> all;
    for (uint64_t i = 1; i <= 30; ++i)
        all.push_back(numbered(i % 3 == 0 ? 3 : 100 + i, i, static_cast<int64_t>(i) * 300));
    for (const wire::Command& one : all) CHECK(single.try_entry({one}).has_value());
    REQUIRE(batched.try_entry(all));
    CHECK(single.digest() == batched.digest());
    // The last one is known, one of more than 1000 ms and 3 results ago is not.
    const uint64_t before = single.machine().revision().number;
    single.run(all[29]);
    CHECK(single.machine().revision().number == before);
    single.run(all[21]);
    CHECK(single.machine().revision().number == before + 1);
}

TEST_CASE("expected versions are checked") {
    Server server;
    server.ok(test::put_setting("a", "1"));
    const auto with = [](const std::string& kind, const std::string& key, uint64_t version) {
        wire::Command made = test::put_setting("a", "next");
        auto* expect = made.add_expected();
        expect->set_kind(kind);
        expect->set_key(key);
        expect->set_version(version);
        return made;
    };
    CHECK(server.run(with("setting", "a", 1)).code() == 0);
    const auto stale = server.run(with("setting", "a", 1));
    CHECK(test::code(stale) == Errc::kConflict);
    CHECK(stale.message().contains("'a' is at version 2, not 1"));
    CHECK(server.run(with("setting", "b", 0)).code() == 0);
    CHECK(test::code(server.run(with("user", "bob", 9))) == Errc::kConflict);
    CHECK(test::code(server.run(with("planet", "x", 0))) == Errc::kInvalid);
}

TEST_CASE("a deposed leader's decision is refused") {
    Server server;
    wire::Command decided = test::put_setting("a", "1");
    decided.set_proposer_term(4);
    CHECK(test::code(server.run(decided, 5)) == Errc::kConflict);
    CHECK(server.run(decided, 4).code() == 0);
}

TEST_CASE("time never runs backwards") {
    Server server;
    wire::Command later = test::put_setting("a", "1");
    later.set_time_ms(5000);
    server.ok(later);
    wire::Command earlier = test::put_setting("a", "2");
    earlier.set_time_ms(3000);
    server.ok(earlier);
    auto state = sqlite::Database::open(*server.vfs, "/data/state/state.db", sqlite::Access::kReadOnly);
    REQUIRE(state);
    CHECK(state->integer("SELECT time_ms FROM feed WHERE revision = 2").value() == 5000);
}

TEST_CASE("bytes that are no command, and a command without changes, are refused") {
    Server server;
    auto results = server.machine().apply(core::Index{1}, core::Term{1}, {"\xFF\xFF\xFF", ""});
    REQUIRE(results);
    REQUIRE(server.machine().commit());
    wire::CommandResult first;
    REQUIRE(first.ParseFromString(results->at(0)));
    CHECK(test::code(first) == Errc::kInvalid);
    REQUIRE(first.ParseFromString(results->at(1)));
    CHECK(first.message().contains("no changes"));
}

TEST_CASE("an entry without commands moves the applied index and nothing else") {
    Server server;
    server.ok(test::put_setting("a", "1"));
    const std::string digest = server.digest();
    REQUIRE(server.try_entry({}));
    CHECK(server.machine().applied() == core::Index{2});
    CHECK(server.digest() == digest);
    server.restart();
    CHECK(server.machine().applied() == core::Index{2});
}

TEST_CASE("feature levels") {
    SECTION("a command above the build stops apply") {
        Server server;
        wire::Command future = test::put_setting("a", "1");
        future.set_feature_level(kFeatureLevelMax + 1);
        const auto stopped = server.try_entry({future});
        REQUIRE_FALSE(stopped);
        CHECK(stopped.error().code == Errc::kUnsupported);
        CHECK(stopped.error().message.contains(std::format("needs feature level {}", kFeatureLevelMax + 1)));
        CHECK(server.machine().applied() == core::Index{0});
    }
    SECTION("parts above the declared level are refused alike by old and new builds") {
        Server old({}, 1);
        Server current;
        wire::Command noted = command();
        test::rule(noted, "r", "user:*", "view", "because");
        CHECK(old.run(noted).SerializeAsString() == current.run(noted).SerializeAsString());
        CHECK(old.digest() == current.digest());
        wire::Command unknown = command();
        unknown.add_changes()->ParseFromString(std::string("\xFA\x7F\x01x", 4));  // field 2047
        CHECK(test::code(current.run(unknown)) == Errc::kUnsupported);
    }
    SECTION("a migration is a command, and stops a build that has none") {
        Server old({}, 1);
        Server current;
        wire::Command before = command();
        test::rule(before, "r", "user:*", "view");
        wire::Command raise = command();
        raise.add_changes()->mutable_raise_feature_level()->set_level(2);
        wire::Command noted = command();
        noted.set_feature_level(2);
        test::rule(noted, "r2", "user:*", "view", "because");
        CHECK(test::code(current.run(noted)) == Errc::kUnsupported);
        REQUIRE(old.run(before).code() == 0);
        REQUIRE(current.run(before).code() == 0);

        const auto stopped = old.try_entry({raise});
        REQUIRE_FALSE(stopped);
        CHECK(stopped.error().code == Errc::kUnsupported);
        CHECK(old.machine().feature_level() == 1);

        CHECK(current.run(raise).code() == 0);
        CHECK(test::code(current.run(raise)) == Errc::kConflict);
        CHECK(current.run(noted).code() == 0);
        current.restart();
        CHECK(current.machine().feature_level() == 2);
        auto state = sqlite::Database::open(*current.vfs, "/data/state/state.db", sqlite::Access::kReadOnly);
        CHECK(state->integer("SELECT count(*) FROM rules WHERE note = 'because'").value() == 1);
    }
    SECTION("a state above the build is not opened") {
        Server current;
        wire::Command raise = command();
        raise.add_changes()->mutable_raise_feature_level()->set_level(2);
        current.ok(raise);
        current.stop();
        core::MetricRegistry metrics;
        feed::Hub hub({}, metrics);
        const auto opened = StateMachine::open({.directory = "/data/state",
                                                .disk = current.disk,
                                                .vfs = *current.vfs,
                                                .hub = hub,
                                                .metrics = metrics,
                                                .logger = {},
                                                .feature_level_max = 1});
        REQUIRE_FALSE(opened);
        CHECK(opened.error().code == Errc::kUnsupported);
    }
}

TEST_CASE("raising the epoch ends every older token") {
    Server server;
    server.ok(test::put_setting("a", "1"));
    wire::Command raise = command();
    raise.add_changes()->mutable_raise_epoch()->set_reason("restore");
    const auto result = server.run(raise);
    CHECK(result.epoch() == 2);
    CHECK(result.revision() == 2);
    CHECK(server.hub().head() == core::Revision{2, 2});
    CHECK(server.hub().watch({1, 1}, {}, nullptr).error().code == Errc::kConflict);
    CHECK(server.hub().watch({2, 1}, {}, nullptr).has_value());
}

TEST_CASE("a full disk stops apply, reads go on, and space brings it back") {
    Server server;
    server.ok(test::put_setting("a", "1"));
    const std::string before = server.digest();
    server.disk.full = true;
    for (int i = 0; i < 3; ++i) {
        const auto stopped = server.try_entry({test::put_setting("a", "2")});
        REQUIRE_FALSE(stopped);
        CHECK(stopped.error().code == Errc::kDiskFull);
    }
    CHECK(server.digest() == before);
    CHECK(server.machine().applied() == core::Index{1});
    server.disk.full = false;
    CHECK(server.ok(test::put_setting("a", "2")) == 2);
}

TEST_CASE("power lost at any write leaves a state that the log completes") {
    wire::Command change = command();
    test::principal(test::setting(change, "a", "2"), "alice@EXAMPLE.COM");
    test::secret(change, "s", "sealed");
    const std::vector<wire::Command> log = {test::put_setting("a", "1"), change, test::put_setting("b", "3")};
    Server reference;
    for (const wire::Command& one : log) reference.ok(one);
    bool whole = false;
    size_t deaths = 0;
    for (uint64_t writes = 1; !whole; ++writes) {
        Server server;
        server.disk.writes_until_dead = writes;
        whole = true;
        for (const wire::Command& one : log) whole = whole && server.try_entry({one}).has_value();
        server.disk.writes_until_dead = 0;
        deaths += whole ? 0 : 1;
        server.crash();
        CAPTURE(writes, server.index());
        REQUIRE(server.machine().damage().empty());
        // realm.db and secrets.db may be ahead of state.db now.
        while (server.index() < log.size()) server.ok(log[server.index()]);
        CHECK(server.digest() == reference.digest());
    }
    CHECK(deaths > 10);
}

TEST_CASE("an I/O error undoes everything since the last commit") {
    Server server;
    server.ok(test::put_setting("a", "1"));
    const std::string before = server.digest();
    const core::Bytes one = serialize(test::put_setting("a", "2"));
    REQUIRE(server.machine().apply(core::Index{2}, core::Term{1}, {one}));
    REQUIRE(server.machine().apply(core::Index{3}, core::Term{1}, {one}));
    server.disk.broken = true;
    CHECK(server.machine().commit().error().code == Errc::kIo);
    server.disk.broken = false;
    CHECK(server.digest() == before);
    CHECK(server.machine().applied() == core::Index{1});
    REQUIRE(server.machine().apply(core::Index{2}, core::Term{1}, {one, one}));
    REQUIRE(server.machine().commit());
    CHECK(server.machine().revision().number == 3);
}

TEST_CASE("after losing the page cache the log brings the state back") {
    Server server;
    Server reference;
    std::vector<wire::Command> log;
    for (int i = 0; i < 50; ++i) {
        wire::Command one = test::put_setting("k" + std::to_string(i % 7), std::to_string(i));
        if (i % 5 == 0) test::principal(one, "p" + std::to_string(i) + "@EXAMPLE.COM");
        log.push_back(one);
        reference.ok(one);
    }
    for (int i = 0; i < 30; ++i) server.ok(log[static_cast<size_t>(i)]);
    server.crash();
    REQUIRE(server.machine().damage().empty());
    CHECK(server.index() < 30);  // nothing forced state.db to the disk
    while (server.index() < 50) server.ok(log[server.index()]);
    CHECK(server.digest() == reference.digest());
}

TEST_CASE("a snapshot is the moment it was begun, and installs elsewhere") {
    Server source;
    wire::Command first = command();
    test::principal(test::setting(first, "a", "1"), "alice@EXAMPLE.COM");
    test::secret(first, "s", "sealed");
    source.ok(first);
    source.ok(test::init_cluster());
    const std::string then = source.digest();
    auto task = source.machine().begin_snapshot();
    REQUIRE(task);
    CHECK(task->index == core::Index{2});
    CHECK(source.machine().begin_snapshot().error().code == Errc::kBusy);
    source.ok(test::put_setting("a", "later"));
    REQUIRE(task->copy("/data/snap"));
    task->copy = nullptr;
    CHECK(source.machine().begin_snapshot().has_value());

    Server target;
    target.ok(test::put_setting("old", "gone"));
    const uint64_t generation = target.machine().generation()->load();
    auto image = target.disk.image();
    for (const auto& [path, bytes] : source.disk.image()) {
        if (path.starts_with("/data/snap/")) image[path] = bytes;
    }
    const auto carry = [&] {
        for (const char* name : {"realm.db", "secrets.db", "state.db"}) {
            auto file = target.disk.open(std::string("/data/snap/") + name, core::OpenMode::kCreate);
            REQUIRE(file);
            REQUIRE((*file)->truncate(0));
            REQUIRE((*file)->write_at(0, image.at(std::string("/data/snap/") + name)));
            REQUIRE((*file)->sync());
        }
    };
    SECTION("renamed into place") {
        carry();
        REQUIRE(target.machine().install_snapshot("/data/snap"));
        CHECK(target.machine().applied() == core::Index{2});
        CHECK(target.machine().generation()->load() > generation);
        CHECK(target.hub().head() == core::Revision{1, 4});
        CHECK(target.digest() == then);
        target.restart();
        CHECK(target.digest() == then);
        CHECK_FALSE(target.disk.node("/data/snap/state.db"));
    }
    SECTION("damaged: the old state stays in use") {
        carry();
        const auto node = target.disk.node("/data/snap/state.db");
        node->now[5000] ^= 8;
        const std::string before = target.digest();
        CHECK(target.machine().install_snapshot("/data/snap").error().code == Errc::kCorrupt);
        CHECK(target.digest() == before);
    }
    SECTION("of a newer version: the old state stays in use") {
        wire::Command raise = command();
        raise.add_changes()->mutable_raise_feature_level()->set_level(2);
        source.ok(raise);
        auto newer = source.machine().begin_snapshot();
        REQUIRE(newer);
        REQUIRE(newer->copy("/data/snap"));
        image = source.disk.image();
        Server old({}, 1);
        for (const char* name : {"realm.db", "secrets.db", "state.db"}) {
            auto file = old.disk.open(std::string("/data/snap/") + name, core::OpenMode::kCreate);
            REQUIRE((*file)->write_at(0, image.at(std::string("/data/snap/") + name)));
        }
        CHECK(old.machine().install_snapshot("/data/snap").error().code == Errc::kUnsupported);
        CHECK(old.machine().applied() == core::Index{0});
    }
}

TEST_CASE("an interrupted install is finished at the next start, whole") {
    Server source;
    wire::Command first = command();
    test::principal(test::setting(first, "a", "1"), "alice@EXAMPLE.COM");
    source.ok(first);
    auto task = source.machine().begin_snapshot();
    REQUIRE(task);
    REQUIRE(task->copy("/data/snap"));
    const std::string then = source.digest();

    Server target;
    target.ok(test::put_setting("old", "gone"));
    auto image = target.disk.image();
    for (const auto& [path, bytes] : source.disk.image()) {
        if (path.starts_with("/data/snap/")) image[path] = bytes;
    }
    target.stop();
    // Each prefix of what the install does: the note is written, then so many files are moved.
    for (size_t moved = 0; moved <= 3; ++moved) {
        auto half = image;
        half["/data/state/install"] = "/data/snap";
        const std::vector<std::pair<std::string, std::string>> moves = {
            {"realm.db", "realm/realm.db"}, {"secrets.db", "secrets.db"}, {"state.db", "state.db"}};
        for (size_t i = 0; i < moved; ++i) {
            half.erase("/data/state/" + moves[i].second + "-wal");
            half["/data/state/" + moves[i].second] = half.at("/data/snap/" + moves[i].first);
            half.erase("/data/snap/" + moves[i].first);
        }
        target.disk.load(half);
        target.restart();
        CAPTURE(moved);
        CHECK(target.machine().damage().empty());
        CHECK(target.digest() == then);
        CHECK_FALSE(target.disk.node("/data/state/install"));
        target.stop();
    }
    target.restart();
}

TEST_CASE("feed and audit are bounded, the floor follows") {
    Retention retention;
    retention.feed_rows_max = 20;
    retention.feed_rows_min = 5;
    retention.feed_age_max_ms = 1000;
    retention.audit_revisions_max = 10;
    Server server(retention);
    for (int i = 0; i < 60; ++i) server.ok(test::put_setting("a", std::to_string(i)));
    CHECK(server.hub().floor() == core::Revision{1, 40});
    wire::Command later = test::put_setting("a", "late");
    later.set_time_ms(1'000'000 + 5000);
    for (int i = 0; i < 4; ++i) server.ok(later);
    // Old ones go down to the number kept whatever their age, a few with each command.
    CHECK(server.hub().floor() == core::Revision{1, 59});
    auto state = sqlite::Database::open(*server.vfs, "/data/state/state.db", sqlite::Access::kReadOnly);
    CHECK(state->integer("SELECT count(*) FROM feed").value() == 5);
    CHECK(state->integer("SELECT count(*) FROM audit").value() == 10);
}

}  // namespace
}  // namespace smackd::storage::state
