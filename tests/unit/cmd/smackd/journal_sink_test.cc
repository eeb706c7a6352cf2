#include "cmd/smackd/journal_sink.h"

#include <catch2/catch_test_macros.hpp>

namespace smackd::cmd {
namespace {

TEST_CASE("an entry of the journal") {
    CHECK(journal_entry(core::LogLevel::kWarning, "node",
                        R"(lost a server server=n1 why="no \"way\" there" x)") ==
          "MESSAGE=node: lost a server server=n1 why=\"no \\\"way\\\" there\" x\n"
          "PRIORITY=4\nSYSLOG_IDENTIFIER=smackd\nSMACKD_COMPONENT=node\n"
          "SMACKD_SERVER=n1\nSMACKD_WHY=no \"way\" there\n");
    CHECK(journal_entry(core::LogLevel::kError, "a", "plain").contains("PRIORITY=3\n"));
}

TEST_CASE("a line that would forge fields stays one entry") {
    const std::string entry = journal_entry(core::LogLevel::kInfo, "a", "x\nPRIORITY=0 k=v");
    CHECK_FALSE(entry.starts_with("MESSAGE="));
    CHECK(entry.starts_with(std::string("MESSAGE\n\x13\0\0\0\0\0\0\0", 16) + "a: x\nPRIORITY=0 k=v\n"));
    CHECK(entry.contains("SMACKD_K=v\n"));
    CHECK_FALSE(journal_entry(core::LogLevel::kInfo, "a", "UPPER=1 =2 a-b=3").contains("SMACKD_UPPER"));
}

TEST_CASE("what JOURNAL_STREAM names") {
    CHECK(is_journal_stream("8:4711", 8, 4711));
    CHECK_FALSE(is_journal_stream("8:4711", 8, 4712));
    CHECK_FALSE(is_journal_stream("", 0, 0));
}

}  // namespace
}  // namespace smackd::cmd
