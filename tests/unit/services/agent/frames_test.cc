#include "services/agent/frames.h"

#include <catch2/catch_test_macros.hpp>

#include "services/agent/capabilities.h"
#include "services/agent/seccomp_profile.h"

using namespace smackd;
using namespace smackd::agent;

TEST_CASE("messages are cut out of a stream that arrives byte by byte") {
    const core::Bytes sent = frame("one") + frame("") + frame(std::string(70000, 'x'));
    FrameBuffer buffer;
    std::vector<size_t> sizes;
    for (const char byte : sent) {
        buffer.append({&byte, 1});
        for (auto next = buffer.next(); next && *next; next = buffer.next()) sizes.push_back((*next)->size());
    }
    CHECK(sizes == std::vector<size_t>{3, 0, 70000});
}

TEST_CASE("a length over the limit ends the stream") {
    FrameBuffer buffer;
    buffer.append(std::string("\xff\xff\xff\x7f", 4));
    CHECK(buffer.next().error().code == core::Errc::kInvalid);
}

TEST_CASE("capabilities are known by name") {
    CHECK(capability_bit("NET_ADMIN") == uint64_t{1} << 12U);
    CHECK(capability_bit("CAP_CHECKPOINT_RESTORE") == uint64_t{1} << 40U);
    CHECK_FALSE(capability_bit("NOT_ONE"));
    for (const char* name :
         {"SYS_ADMIN", "NET_ADMIN", "NET_RAW", "MKNOD", "SYS_PTRACE", "SYS_MODULE", "DAC_READ_SEARCH"})
        CHECK((default_capabilities() & *capability_bit(name)) == 0);
}

TEST_CASE("the system-call filter compiles to a program the kernel takes") {
    const auto program = compile_seccomp_profile();
    REQUIRE(program);
    CHECK(program->size() % 8 == 0);
    CHECK(program->size() / 8 > 100);
    CHECK(program->size() / 8 < 4096);  // BPF_MAXINSNS
    CHECK(*compile_seccomp_profile() == *program);
}
