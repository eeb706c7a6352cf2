#include "services/agent/shim_handover.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <filesystem>

#include "services/agent/frames.h"
#include "services/agent/log_pipe.h"
#include "services/agent/monotonic.h"
#include "tests/unit/services/agent/folder.h"

using namespace smackd;
using namespace smackd::agent;
using core::Errc;

namespace {

wire::ShimState running() {
    wire::ShimState state;
    state.set_version(kShimStateVersion);
    state.mutable_plan()->mutable_spec()->set_task_id("web.1");
    state.set_pid(4711);
    state.set_pidfd(9);
    return state;
}

Errc refusal(const wire::ShimState& state) {
    const auto file = seal_state(state);
    REQUIRE(file);
    const auto read = read_state(file->get());
    REQUIRE_FALSE(read);
    return read.error().code;
}

}  // namespace

TEST_CASE("a state is read as it was sealed, more than once, and cannot be changed") {
    wire::ShimState state = running();
    state.mutable_out()->set_end(77);
    const auto file = seal_state(state);
    REQUIRE(file);
    CHECK(::write(file->get(), "x", 1) < 0);
    CHECK(::ftruncate(file->get(), 0) < 0);
    for (int times = 0; times < 2; times++) {
        const auto read = read_state(file->get());
        REQUIRE(read);
        CHECK(read->out().end() == 77);
        CHECK(read->plan().spec().task_id() == "web.1");
    }
}

TEST_CASE("a state of a later version, or of no running task, is not taken over") {
    wire::ShimState later = running();
    later.set_version(kShimStateVersion + 1);
    CHECK(refusal(later) == Errc::kUnsupported);
    wire::ShimState none = running();
    none.set_version(0);
    CHECK(refusal(none) == Errc::kUnsupported);
    wire::ShimState no_pid = running();
    no_pid.set_pid(0);
    CHECK(refusal(no_pid) == Errc::kCorrupt);
    wire::ShimState strange = running();
    strange.mutable_plan()->mutable_spec()->set_task_id("../x");
    CHECK(refusal(strange) == Errc::kCorrupt);
    const Descriptor nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    CHECK_FALSE(read_state(nothing.get()));
    std::array<int, 2> ends{};
    REQUIRE(::pipe(ends.data()) == 0);
    CHECK_FALSE(read_state(ends[0]));
    ::close(ends[0]);
    ::close(ends[1]);
}

TEST_CASE("kept descriptors alone stay open") {
    const Descriptor kept_one(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    const Descriptor other(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    KeptDescriptors kept;
    CHECK(kept.keep(Descriptor()) == 0);
    CHECK(kept.keep(kept_one) == static_cast<uint32_t>(kept_one.get()));
    kept.stay_open(true);
    CHECK(::fcntl(kept_one.get(), F_GETFD) == 0);
    CHECK(::fcntl(other.get(), F_GETFD) == FD_CLOEXEC);
    kept.stay_open(false);
    CHECK(::fcntl(kept_one.get(), F_GETFD) == FD_CLOEXEC);
}

TEST_CASE("a log goes on in the file it was in, with what its stream may still write") {
    const Folder folder;
    PollLoop loop;
    wire::TaskLogLimits limits;
    limits.set_segment_bytes(1000);
    limits.set_bytes_per_second(100'000);
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) == 0);
    const Descriptor writer(ends[1]);
    wire::ShimLogState state;
    KeptDescriptors kept;
    {
        LogPipe before(loop, folder.fd.get(), "stdout", limits);
        before.read_from(Descriptor(ends[0]));
        before.watch();
        REQUIRE(::write(writer.get(), "one\n", 4) == 4);
        loop.turn(core::milliseconds(0));
        before.save(state, kept);
        CHECK(state.end() == 4);
        CHECK(state.credit() == 10 * 100'000 - 4);
        // They close with it here, and stay open at execve.
        state.set_read(static_cast<uint32_t>(::fcntl(static_cast<int>(state.read()), F_DUPFD_CLOEXEC, 3)));
        state.set_file(static_cast<uint32_t>(::fcntl(static_cast<int>(state.file()), F_DUPFD_CLOEXEC, 3)));
    }
    REQUIRE(::write(writer.get(), "two\n", 4) == 4);
    LogPipe after(loop, folder.fd.get(), "stdout", limits, state);
    after.watch();
    loop.turn(core::milliseconds(0));
    CHECK(after.written() == 8);
    const auto segments = list_log(folder.fd.get(), "stdout");
    REQUIRE(segments.size() == 1);
    CHECK(segments[0].size == 8);
}

TEST_CASE("what has come of a message is kept") {
    FrameBuffer buffer;
    buffer.append(frame("whole") + frame("half").substr(0, 6));
    REQUIRE(buffer.next()->value() == "whole");
    FrameBuffer other;
    other.append(buffer.rest());
    other.append(frame("half").substr(6));
    CHECK(other.next()->value() == "half");
}

TEST_CASE("times are the machine's") {
    const core::Instant at{std::chrono::microseconds(1234567)};
    CHECK(instant_of(microseconds_of(at)) == at);
}
