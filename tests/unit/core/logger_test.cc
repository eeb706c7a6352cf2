#include "core/logger.h"

#include <catch2/catch_test_macros.hpp>
#include <vector>

namespace smackd::core {
namespace {

class Collector final : public LogSink {
 public:
    void write(LogLevel level, std::string_view component, std::string_view line) override {
        lines.push_back(std::string(log_level_name(level)) + " " + std::string(component) + " " +
                        std::string(line));
    }
    std::vector<std::string> lines;
};

TEST_CASE("a line has level, component, message and fields") {
    Collector sink;
    const Logger logger(&sink, "storage");
    logger.info("opened", {{"path", "/a b"}, {"pages", 12}, {"ratio", 0.5}, {"empty", ""}});
    logger.named("feed").error("cut");
    logger.warning("w");
    logger.debug("d");
    CHECK(sink.lines ==
          std::vector<std::string>{"info storage opened path=\"/a b\" pages=12 ratio=0.5 empty=\"\"",
                                   "error feed cut", "warning storage w", "debug storage d"});
}

TEST_CASE("a value cannot forge a line or a field") {
    CHECK(format_log_line("x", {{"user", "a\nerror fake"}}) == R"(x user="a\x0aerror fake")");
    CHECK(format_log_line("x", {{"user", "a\" admin=\"yes"}}) == R"(x user="a\" admin=\"yes")");
    CHECK(format_log_line("x", {{"user", "a=b"}}) == R"(x user="a=b")");
    CHECK(format_log_line("x\ny", {}) == R"(x\x0ay)");
    CHECK(format_log_line("x", {{"user", "\x1b[31m\x7f"}}) == R"(x user="\x1b[31m\x7f")");
}

TEST_CASE("a logger without a sink logs nowhere") {
    const Logger nowhere;
    nowhere.error("nobody hears");
}

}  // namespace
}  // namespace smackd::core
