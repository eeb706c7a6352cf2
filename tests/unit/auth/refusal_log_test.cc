#include "auth/refusal_log.h"

#include <catch2/catch_test_macros.hpp>
#include <fstream>
#include <sstream>

#include "net/posix_disk.h"
#include "temporary_directory.h"

using namespace smackd;
using auth::RefusalLog;
using auth::test::TemporaryDirectory;
using core::WallTime;

namespace {

constexpr int64_t kStart = 1'790'000'000'000;

auth::Refusal refusal(const std::string& who) {
    return {.reason = "policy",
            .principal = who,
            .source = "127.0.0.1:4711",
            .door = "api",
            .request = "GET /",
            .message = "no rule"};
}

std::string slurp(const std::string& path) {
    std::ostringstream out;
    out << std::ifstream(path, std::ios::binary).rdbuf();
    return out.str();
}

void spit(const std::string& path, const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
}

struct Fixture {
    TemporaryDirectory directory;
    net::PosixDisk disk;
    std::string first = directory / "refusals.00000001.log";

    std::unique_ptr<RefusalLog> open(auth::RefusalLogLimits limits = {}) {
        auto log = RefusalLog::open(disk, directory.path(), limits);
        REQUIRE(log);
        return std::move(*log);
    }
    auth::RefusalLogReport verify() {
        auto report = auth::verify_refusal_log(disk, directory.path());
        REQUIRE(report);
        return *report;
    }
    void fill(int lines) {
        auto log = open();
        for (int i = 0; i < lines; i++)
            REQUIRE(log->record(refusal("u" + std::to_string(i)), WallTime{kStart + i}));
        REQUIRE(log->sync());
    }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "refusals are chained, also over a restart") {
    fill(3);
    fill(2);
    const auto report = verify();
    CHECK(report.problem == "");
    CHECK(report.lines == 6);  // with the line that opens the file
    CHECK(report.files == 1);
    CHECK(slurp(first).contains("\"principal\":\"u2\""));
    CHECK(open()->head() == report.head);
}

TEST_CASE_METHOD(Fixture, "a changed, removed or reordered line shows") {
    fill(5);
    const std::string good = slurp(first);
    std::vector<std::string> lines;
    std::istringstream in(good);
    for (std::string line; std::getline(in, line);) lines.push_back(line + "\n");
    REQUIRE(lines.size() == 6);

    std::string changed = good;
    changed.replace(changed.find("u2"), 2, "u9");
    spit(first, changed);
    CHECK(verify().problem.contains("line 4"));

    spit(first, lines[0] + lines[1] + lines[3] + lines[4] + lines[5]);
    CHECK(verify().problem != "");
    spit(first, lines[0] + lines[2] + lines[1] + lines[3] + lines[4] + lines[5]);
    CHECK(verify().problem != "");
    spit(first, lines[1] + lines[2]);
    CHECK(verify().problem != "");

    const std::string head = verify().head;
    spit(first, good);
    CHECK(verify().problem == "");
    // A cut end shows by the head that somebody remembers.
    spit(first, lines[0] + lines[1]);
    CHECK(verify().problem == "");
    CHECK(verify().head != open()->head() + "x");
}

TEST_CASE_METHOD(Fixture, "a line torn by a crash is kept and named, and the chain goes on") {
    fill(2);
    spit(first, slurp(first) + "deadbeef torn");
    fill(1);
    const auto report = verify();
    CHECK(report.problem.contains("cut off"));
    CHECK(report.files == 2);
    CHECK(slurp(directory / "refusals.00000002.log").contains("after damage"));
    CHECK(report.head == open()->head());
}

TEST_CASE_METHOD(Fixture, "files are bounded in size and number, and the chain spans them") {
    auto log = open({.file_bytes = 1000, .files = 3, .per_minute = 1'000'000});
    for (int i = 0; i < 100; i++) REQUIRE(log->record(refusal("u"), WallTime{kStart + i}));
    const auto report = verify();
    CHECK(report.problem == "");
    CHECK(report.files == 3);
    CHECK(report.head == log->head());
    // Without its middle file the chain is broken.
    auto names = *disk.list(directory.path());
    REQUIRE(disk.remove(directory / names[1]));
    CHECK(verify().problem != "");
}

TEST_CASE_METHOD(Fixture, "a flood is counted, not written") {
    auto log = open({.per_minute = 10});
    for (int i = 0; i < 1000; i++) REQUIRE(log->record(refusal("u"), WallTime{kStart + i}));
    CHECK(log->suppressed() == 990);
    CHECK(verify().lines == 11);
    REQUIRE(log->record(refusal("v"), WallTime{kStart + 61'000}));
    CHECK(slurp(first).contains("\"suppressed_before\":990"));
}

TEST_CASE_METHOD(Fixture, "what a client sends cannot forge a line") {
    auto log = open({.field_bytes = 40});
    REQUIRE(log->record(
        {.reason = "x", .principal = "a\n0000 {\"forged\":1}\xff", .message = std::string(500, 'm')},
        WallTime{kStart}));
    CHECK(verify().problem == "");
    CHECK(verify().lines == 2);
    CHECK(slurp(first).size() < 700);
}
