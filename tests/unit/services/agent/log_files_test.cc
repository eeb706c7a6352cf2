#include "services/agent/log_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <filesystem>

#include "services/agent/file_tree.h"
#include "services/agent/task_directory.h"
#include "tests/unit/services/agent/folder.h"

using namespace smackd;
using namespace smackd::agent;

TEST_CASE("a log rotates by size and keeps its offsets") {
    const Folder folder;
    LogWriter writer(folder.fd.get(), "stdout", 10, 25);
    std::string all;
    for (int i = 0; i < 20; i++) {
        const std::string line = "line" + std::to_string(i) + "\n";
        writer.write(line);
        all += line;
    }
    CHECK(writer.written() == all.size());
    const auto segments = list_log(folder.fd.get(), "stdout");
    CHECK(segments.size() <= 4);
    for (const LogSegment& segment : segments) CHECK(segment.size <= 10);
    const auto read = read_log_files(folder.fd.get(), "stdout", 0, 1000);
    REQUIRE(read);
    CHECK(read->offset > 0);
    CHECK(read->end == all.size());
    CHECK(read->bytes == all.substr(read->offset));
    const auto middle = read_log_files(folder.fd.get(), "stdout", all.size() - 13, 4);
    CHECK(middle->bytes == all.substr(all.size() - 13, 4));
    CHECK(read_log_files(folder.fd.get(), "stdout", all.size() + 99, 4)->bytes.empty());
    CHECK(list_log(folder.fd.get(), "stderr").empty());
}

TEST_CASE("a writer goes on where another one ended") {
    const Folder folder;
    LogWriter(folder.fd.get(), "stdout", 100, 1000).write("first ");
    LogWriter second(folder.fd.get(), "stdout", 100, 1000);
    second.write("second");
    CHECK(second.written() == 12);
    CHECK(read_log_files(folder.fd.get(), "stdout", 0, 100)->bytes == "first second");
}

TEST_CASE("a stream may write ten seconds' worth at once, then its rate") {
    core::Instant now{core::seconds(5)};
    LogRate rate(1000, now);
    CHECK(rate.allowed(now) == 10000);
    rate.take(10000);
    CHECK(rate.allowed(now) == 0);
    now = now + core::milliseconds(1500);
    CHECK(rate.allowed(now) == 1500);
    now = now + core::seconds(3600);
    CHECK(rate.allowed(now) == 10000);
}

TEST_CASE("events appear whole, in order, and go when acknowledged") {
    const Folder folder;
    wire::TaskEvent event;
    event.set_task_id("t");
    event.set_sequence(2);
    event.mutable_exited()->set_code(3);
    REQUIRE(write_event(folder.fd.get(), event, true));
    event.set_sequence(1);
    event.mutable_started()->set_pid(7);
    REQUIRE(write_event(folder.fd.get(), event, false));
    const Descriptor stray(::openat(folder.fd.get(), "event.9", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    CHECK(::write(stray.get(), "\xff\xff", 2) == 2);
    const auto events = read_events(folder.fd.get());
    REQUIRE(events.size() == 2);
    CHECK(events[0].started().pid() == 7);
    CHECK(is_last_event(events[1]));
    remove_events(folder.fd.get(), 1);
    CHECK(read_events(folder.fd.get()).size() == 1);
}

TEST_CASE("trees are removed however deep they are, and measured up to a depth") {
    const Folder folder;
    std::string deep = folder.path + "/top";
    REQUIRE(::mkdirat(folder.fd.get(), "top", 0700) == 0);
    Descriptor at(::open(deep.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    CHECK(tree_bytes(deep).has_value());
    for (int i = 0; i < 3000; i++) {
        REQUIRE(::mkdirat(at.get(), "d", 0700) == 0);
        at = Descriptor(::openat(at.get(), "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    }
    CHECK_FALSE(tree_bytes(deep).has_value());
    CHECK(own_tree(deep, ::getuid(), ::getgid()).error().error_number == ELOOP);
    CHECK(remove_tree(folder.fd.get(), "top"));
    CHECK_FALSE(std::filesystem::exists(deep));
    CHECK(remove_tree(folder.fd.get(), "top"));  // not there: done
}
