#include "storage/state/reader.h"

#include <catch2/catch_test_macros.hpp>
#include <filesystem>

#include "storage/state/realm_reader.h"
#include "storage/state/sql.h"
#include "tests/unit/storage/state/machine.h"

namespace smackd::storage::state {
namespace {

using core::Errc;
using test::command;
using test::Server;

/// Moves by one millisecond at each look.
class SteppingClock final : public core::Clock {
 public:
    core::Instant now() const override { return {core::milliseconds(++looks_)}; }
    core::WallTime wall() const override { return {0}; }

 private:
    mutable int64_t looks_ = 0;
};

ReaderOptions options_of(Server& server) {
    return {"/data/state", *server.vfs, server.machine().generation()};
}

void fill(Server& server) {
    server.ok(test::init_cluster());
    wire::Command people = command();
    test::user(test::user(people, "bob", true), "alice");
    test::group(people, "ops", {"bob", "alice", "bob"});
    test::rule(people, "r1", "group:ops", "kill");
    people.mutable_changes(3)->mutable_put_rule()->add_actions("view");
    test::machine(people, "n1");
    test::node(people, 3, "n1");
    test::principal(test::setting(people, "colour", "red"), "alice@EXAMPLE.COM");
    test::secret(people, "ca", "sealed bytes");
    server.ok(people);
}

TEST_CASE("rows come back as they were put, normalized, with their versions") {
    Server server;
    fill(server);
    StateReader reader(options_of(server));
    {
        auto view = reader.view();
        REQUIRE(view);
        CHECK(view->point().revision == core::Revision{1, 10});
        CHECK(view->point().applied == core::Index{2});
        CHECK(view->cluster()->value().put.realm() == "EXAMPLE.COM");
        const auto users = view->users();
        REQUIRE(users->size() == 2);
        CHECK(users->at(0).put.name() == "alice");
        CHECK(users->at(1).put.disabled());
        CHECK(users->at(1).version == 2);
        CHECK_FALSE(view->user("carol")->has_value());
        const auto group = view->group("ops");
        REQUIRE(group->has_value());
        REQUIRE((*group)->put.members_size() == 2);
        CHECK((*group)->put.members(0) == "alice");
        CHECK(view->groups()->at(0).put.SerializeAsString() == (*group)->put.SerializeAsString());
        CHECK(view->groups_of("bob").value() == std::vector<std::string>{"ops"});
        const auto rule = view->rule("r1");
        REQUIRE((*rule)->put.actions_size() == 2);
        CHECK((*rule)->put.actions(0) == "view");
        CHECK(view->policy()->at(0).actions == 9);
        CHECK(view->policy_for("bob")->size() == 1);
        CHECK(view->policy_for("carol")->empty());
        const auto machine = view->machine("n1");
        CHECK((*machine)->put.attributes().at("rack") == "7");
        CHECK((*machine)->put.roles(0) == "server");
        CHECK(view->machines()->size() == 1);
        CHECK(view->node(core::NodeId{3})->value().put.address() == "10.0.0.1:5055");
        CHECK(view->setting("colour")->value().put.value() == "red");
        CHECK(view->principals()->at(0) == std::pair<std::string, uint64_t>{"alice@EXAMPLE.COM", 9});
        CHECK(view->secrets()->at(0).first == "ca");
        CHECK(view->revoked_tokens()->empty());
        const auto audit = view->audit(0, 10);
        REQUIRE(audit->size() == 2);
        CHECK(audit->at(0).summary.starts_with("put_user bob, put_user alice, put_group ops"));
        CHECK(view->audit(10, 10)->size() == 1);
        CHECK(view->feed_after(8, 10)->size() == 2);
        CHECK(view->feed_after(0, 3)->size() == 3);
    }
    wire::PrincipalRecord record;
    REQUIRE(record.ParseFromString(reader.principal("alice@EXAMPLE.COM")->value()));
    CHECK(record.max_life_s() == 36000);
    CHECK_FALSE(reader.principal("bob@EXAMPLE.COM")->has_value());
    CHECK(reader.secret("ca")->value() == "sealed bytes");
}

TEST_CASE("a view stands still, the next one sees what was committed meanwhile") {
    Server server;
    fill(server);
    StateReader reader(options_of(server));
    {
        auto view = reader.view();
        server.ok(test::put_setting("colour", "blue"));
        CHECK(view->setting("colour")->value().put.value() == "red");
    }
    CHECK(reader.view()->setting("colour")->value().put.value() == "blue");
}

TEST_CASE("a reader follows a snapshot that replaces the files") {
    Server server;
    fill(server);
    auto task = server.machine().begin_snapshot();
    REQUIRE(task->copy("/data/snap"));
    task->copy = nullptr;
    StateReader reader(options_of(server));
    server.ok(test::put_setting("colour", "blue"));
    CHECK(reader.view()->setting("colour")->value().put.value() == "blue");
    REQUIRE(server.machine().install_snapshot("/data/snap"));
    CHECK(reader.view()->setting("colour")->value().put.value() == "red");
}

TEST_CASE("rules are read at both feature levels") {
    Server server;
    fill(server);
    StateReader reader(options_of(server));
    CHECK(reader.view()->rule("r1")->value().put.note().empty());
    wire::Command raise = command();
    raise.add_changes()->mutable_raise_feature_level()->set_level(2);
    server.ok(raise);
    wire::Command noted = command();
    noted.set_feature_level(2);
    server.ok(test::rule(noted, "r1", "user:*", "view", "everybody looks"));
    CHECK(reader.view()->rule("r1")->value().put.note() == "everybody looks");
    CHECK(reader.view()->rules()->size() == 1);
}

TEST_CASE("SQL reads and nothing else") {
    Server server;
    fill(server);
    const SteppingClock clock;
    SqlReader sql(options_of(server), clock);
    const auto names = sql.run("SELECT name, disabled, NULL, 1.5, x'00ff' FROM users ORDER BY name;", {});
    REQUIRE(names);
    CHECK(names->columns == std::vector<std::string>{"name", "disabled", "NULL", "1.5", "x'00ff'"});
    REQUIRE(names->rows.size() == 2);
    CHECK(std::get<std::string>(names->rows[1][0]) == "bob");
    CHECK(std::get<int64_t>(names->rows[1][1]) == 1);
    CHECK(std::holds_alternative<std::monostate>(names->rows[0][2]));
    CHECK(std::get<double>(names->rows[0][3]) == 1.5);
    CHECK(std::get<std::vector<uint8_t>>(names->rows[0][4]) == std::vector<uint8_t>{0, 255});
    CHECK(names->point.revision.number == 10);
    CHECK_FALSE(names->truncated);

    for (const char* text : {"DELETE FROM users", "UPDATE users SET disabled = 0", "PRAGMA writable_schema=1",
                             "ATTACH '/data/state/secrets.db' AS s", "BEGIN", "CREATE TABLE t(a)", "VACUUM",
                             "SELECT * FROM results", "CREATE TEMP TABLE t AS SELECT 1"}) {
        CAPTURE(text);
        const auto refused = sql.run(text, {});
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == Errc::kDenied);
    }
    CHECK(sql.run("SELECT 1; SELECT 2", {}).error().code == Errc::kInvalid);
    CHECK(sql.run("SELEC 1", {}).error().code == Errc::kInvalid);
    CHECK(sql.run("SELECT * FROM planets", {}).error().message.contains("no such table: planets"));
    CHECK(sql.run("", {}).error().code == Errc::kInvalid);
    CHECK(sql.run(std::string(kSqlTextBytesMax + 1, ' '), {}).error().code == Errc::kInvalid);
}

TEST_CASE("SQL is limited in rows, bytes and time") {
    Server server;
    fill(server);
    const SteppingClock clock;
    SqlReader sql(options_of(server), clock);
    const std::string count =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n";
    SqlLimits limits;
    limits.rows = 100;
    const auto some = sql.run(count, limits);
    REQUIRE(some);
    CHECK(some->rows.size() == 100);
    CHECK(some->truncated);
    limits.rows = 1'000'000;
    limits.bytes = 4000;
    CHECK(sql.run(count, limits)->truncated);
    limits.time = core::milliseconds(50);
    const auto endless = sql.run(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT sum(i) FROM n", limits);
    REQUIRE_FALSE(endless);
    CHECK(endless.error().code == Errc::kTimeout);
    CHECK(sql.run("SELECT 1", {}).has_value());
}

TEST_CASE("the realm reader sees one file over the unix VFS and follows a new inode") {
    const auto directory = std::filesystem::temp_directory_path() / "smackd_realm_reader_test";
    std::filesystem::remove_all(directory);
    std::filesystem::create_directories(directory);
    const std::string path = (directory / "realm.db").string();
    const auto vfs = sqlite::Vfs::over_unix();
    RealmReader reader(*vfs, path);
    CHECK(reader.get("a").error().code == Errc::kNotFound);
    const auto write = [&](const std::string& file, const char* record) {
        auto database = sqlite::Database::open(*vfs, file, sqlite::Access::kCreate);
        REQUIRE(database);
        REQUIRE(database->execute(
            "CREATE TABLE IF NOT EXISTS principals(name TEXT PRIMARY KEY, record BLOB, version INTEGER)"));
        REQUIRE(database->run("INSERT OR REPLACE INTO principals VALUES('a', ?, 1), ('b', ?, 1)",
                              {sqlite::Blob{record}, sqlite::Blob{record}}));
        REQUIRE(database->checkpoint(true));
    };
    write(path, "one");
    CHECK(reader.get("a")->value() == "one");
    CHECK_FALSE(reader.get("z")->has_value());
    write(path, "two");
    CHECK(reader.get("a")->value() == "two");
    write(path + ".new", "three");
    std::filesystem::rename(path + ".new", path);
    std::filesystem::remove(path + "-wal");
    CHECK(reader.get("a")->value() == "three");
    std::vector<std::string> names;
    REQUIRE(reader.iterate([&](std::string_view name, core::BytesView) {
        names.emplace_back(name);
        return names.size() < 2;
    }));
    CHECK(names == std::vector<std::string>{"a", "b"});
    std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace smackd::storage::state
