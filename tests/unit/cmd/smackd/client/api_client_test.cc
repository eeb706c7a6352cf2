#include "cmd/smackd/client/api_client.h"

#include <catch2/catch_test_macros.hpp>

namespace smackd::cmd {
namespace {

TEST_CASE("a refusal keeps the server's code and sentence") {
    core::Error error = error_of_answer(403, R"({"error":{"code":"denied","message":"no rule"}})");
    CHECK(error.code == core::Errc::kDenied);
    CHECK(error.message == "no rule");
    CHECK(error_of_answer(409, R"({"error":"conflict","message":"exists"})").code == core::Errc::kConflict);
    CHECK(error_of_answer(503, "<html>").code == core::Errc::kUnavailable);
    CHECK(error_of_answer(502, "").message == "the server answered 502");
    CHECK(error_of_answer(404, R"({"error":{"code":"from the future","message":"x"}})").code ==
          core::Errc::kNotFound);
}

TEST_CASE("events are cut out of a stream however it is split") {
    const std::string stream =
        ": hello\n\nid: 1.7\r\nevent: group\r\ndata: {\"a\":\ndata: 1}\n\nid: 1.8\ndata:x\n\nid: 1.9\ndata: "
        "half";
    for (size_t piece : {size_t{1}, size_t{3}, stream.size()}) {
        EventParser parser;
        std::vector<ServerEvent> events;
        for (size_t at = 0; at < stream.size(); at += piece) {
            REQUIRE(parser.feed(std::string_view(stream).substr(at, piece)).has_value());
            while (auto event = parser.next()) events.push_back(*event);
        }
        REQUIRE(events.size() == 2);
        CHECK(events[0].id == "1.7");
        CHECK(events[0].name == "group");
        CHECK(events[0].data == "{\"a\":\n1}");
        CHECK(events[1].data == "x");
    }
}

TEST_CASE("an endless event is refused") {
    EventParser parser;
    CHECK(parser.feed(std::string(kEventBytesMax, 'x')).has_value());
    CHECK_FALSE(parser.feed("x").has_value());
}

}  // namespace
}  // namespace smackd::cmd
