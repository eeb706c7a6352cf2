#include "cmd/smackd/doctor.h"

#include <catch2/catch_test_macros.hpp>

namespace smackd::cmd {
namespace {

TEST_CASE("free space") {
    CHECK(judge_free_space("/x", kFreeBytesWarn).verdict == Verdict::kOk);
    CHECK(judge_free_space("/x", kFreeBytesWarn - 1).verdict == Verdict::kWarn);
    CHECK(judge_free_space("/x", kFreeBytesFail - 1).verdict == Verdict::kFail);
    CHECK_FALSE(judge_free_space("/x", 0).advice.empty());
}

TEST_CASE("clock") {
    CHECK(judge_clock(1'000'000, 1'000'000 + kClockSkewWarnMs - 1).verdict == Verdict::kOk);
    CHECK(judge_clock(1'000'000 + kClockSkewWarnMs, 1'000'000).verdict == Verdict::kWarn);
    CHECK(judge_clock(1'000'000, 1'000'000 + kClockSkewFailMs).verdict == Verdict::kFail);
}

TEST_CASE("modes of key files") {
    CHECK(judge_mode("/k", 0600, 0600).verdict == Verdict::kOk);
    CHECK(judge_mode("/k", 0400, 0600).verdict == Verdict::kOk);
    Finding open = judge_mode("/k", 0640, 0600);
    CHECK(open.verdict == Verdict::kFail);
    CHECK(open.advice.contains("chmod 0600 /k"));
}

}  // namespace
}  // namespace smackd::cmd
