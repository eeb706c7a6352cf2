#include "services/backup/backup_schedule.h"

#include <catch2/catch_test_macros.hpp>

using namespace smackd;
using namespace smackd::services;
using std::chrono::hours;
using std::chrono::minutes;

namespace {
constexpr core::WallTime kNow{1'767'323'045'000};  // 2026-01-02 03:04:05 UTC

core::WallTime ago(core::Duration duration) {
    return {kNow.unix_ms - std::chrono::duration_cast<core::milliseconds>(duration).count()};
}
}  // namespace

TEST_CASE("names of scheduled backups carry their time") {
    CHECK(backup_name(kNow) == "smackd-20260102T030405Z.backup");
    CHECK(time_of_backup("smackd-20260102T030405Z.backup")->unix_ms == kNow.unix_ms);
    for (const char* name : {"smackd-20260102T030405Z.backup.new", "smackd-20261302T030405Z.backup",
                             "a.backup", "smackd-2026x102T030405Z.backup", ""})
        CHECK_FALSE(time_of_backup(name));
}

TEST_CASE("the newest are kept, files of other names are left alone") {
    const std::vector<std::string> names{"smackd-20260103T000000Z.backup", "before-upgrade.backup",
                                         "smackd-20260101T000000Z.backup", "smackd-20260102T000000Z.backup",
                                         "smackd-20260104T000000Z.backup.new"};
    CHECK(outdated_backups(names, 2) ==
          std::vector<std::string>{"smackd-20260104T000000Z.backup.new", "smackd-20260101T000000Z.backup"});
    CHECK(outdated_backups(names, 7) == std::vector<std::string>{"smackd-20260104T000000Z.backup.new"});
}

TEST_CASE("the next backup is due a day after the last, an hour after a failure") {
    const BackupPlan plan;
    BackupRecord last;
    CHECK(until_next_backup(plan, last, kNow, kBackupFirstDelay) == kBackupFirstDelay);
    last.made = ago(hours(10));
    CHECK(until_next_backup(plan, last, kNow, kBackupFirstDelay) == hours(14));
    last.made = ago(hours(100));
    CHECK(until_next_backup(plan, last, kNow, kBackupFirstDelay) == kBackupFirstDelay);
    last.failed = ago(minutes(20));
    CHECK(until_next_backup(plan, last, kNow, kBackupFirstDelay) == minutes(40));
    // Clocks that go wrong neither hurry nor stop it.
    last.failed = {};
    last.made = {kNow.unix_ms + 1'000'000'000'000};
    CHECK(until_next_backup(plan, last, kNow, kBackupFirstDelay) == plan.every);
}

TEST_CASE("the record survives its setting") {
    BackupRecord record;
    record.made = kNow;
    record.revision = "3.42";
    record.server = "n1";
    record.file = "/var/lib/smackd/backups/" + backup_name(kNow);
    record.bytes = 12345;
    record.failed = ago(hours(1));
    record.failure = "no space left";
    auto parsed = BackupRecord::parse(record.to_text());
    REQUIRE(parsed);
    CHECK(parsed->to_text() == record.to_text());
    CHECK(parsed->bytes == 12345);
    CHECK_FALSE(BackupRecord::parse("yesterday"));
}
