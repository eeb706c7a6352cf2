#include <catch2/catch_test_macros.hpp>

#include "core/marathon/path_id.h"
#include "core/marathon/timestamp.h"

namespace smackd::marathon {
namespace {

TEST_CASE("ids are resolved against a group and made normal") {
    CHECK(resolve_id("/a//b/").value() == "/a/b");
    CHECK(resolve_id("b", "/a").value() == "/a/b");
    CHECK(resolve_id("../b", "/a/c").value() == "/a/b");
    CHECK(resolve_id("./b/.", "/a").value() == "/a/b");
    CHECK(resolve_id("..", "/a").value() == "/");
    CHECK(resolve_id("/").value() == "/");
    CHECK(resolve_id("//").value() == "/");
    CHECK_FALSE(resolve_id("../..", "/a"));
    CHECK_FALSE(resolve_id("/a/../../b"));
    CHECK_FALSE(resolve_id(""));
    CHECK(resolve_id("/a.b-c.0").value() == "/a.b-c.0");
    for (const auto* wrong :
         {"/a_b", "/A", "/a..b", "/.a", "/a.", "/a%2e", "/\xc3\xa4", "/a\\b", "/...", "/a\n"}) {
        INFO(wrong);
        CHECK_FALSE(resolve_id(wrong));
    }
    CHECK_FALSE(resolve_id(std::string(300, 'a'), "/" + std::string(300, 'b')));
}

TEST_CASE("words that routes need are no app's name, but may be a group's") {
    CHECK_FALSE(resolve_app_id("/x/tasks"));
    CHECK(resolve_app_id("/tasks/x").value() == "/tasks/x");
    CHECK_FALSE(resolve_app_id("/"));
    CHECK_FALSE(resolve_app_id("/a/.."));
}

TEST_CASE("forms of an id") {
    CHECK(parent_id("/a/b/c") == "/a/b");
    CHECK(parent_id("/a") == "/");
    CHECK(parent_id("/") == "/");
    CHECK(id_with_underscores("/a/b.c/d") == "a_b.c_d");
    CHECK(id_reversed("/a/b") == "b.a");
    CHECK(id_reversed("/") == "");
}

TEST_CASE("task ids of all forms lead to their app") {
    const std::string uuid = "9ac3f6b0-5f3c-11ea-8b77-0242ac110002";
    CHECK(app_of_task("a_b.instance-" + uuid + "._app.1").value() == "/a/b");
    CHECK(app_of_task("a_b.c.instance-" + uuid).value() == "/a/b.c");
    CHECK(app_of_task("a_b." + uuid).value() == "/a/b");
    CHECK(app_of_task("a_b." + uuid + ".3").value() == "/a/b");
    for (const auto* wrong :
         {"", ".", "x", "a.b", ".instance-1", "A.instance-x", "a__b.instance-x", "a.b.c.d"}) {
        INFO(wrong);
        CHECK_FALSE(app_of_task(wrong));
    }
}

TEST_CASE("timestamps are Marathon's") {
    CHECK(format_timestamp(1443604149614) == "2015-09-30T09:09:09.614Z");
    CHECK(format_timestamp(0) == "1970-01-01T00:00:00.000Z");
    CHECK(parse_timestamp("2015-09-30T09:09:09.614Z").value() == 1443604149614);
    CHECK(parse_timestamp("2015-09-30T11:09:09.614123+02:00").value() == 1443604149614);
    CHECK(parse_timestamp("2015-09-30T09:09:09Z").value() == 1443604149000);
    CHECK(parse_timestamp("2015-09-30T09:09Z").value() == 1443604140000);
    CHECK(parse_timestamp("2024-02-29T00:00:00.5Z").value() % 1000 == 500);
    for (const auto* wrong :
         {"", "2015", "2015-02-29T00:00:00Z", "2015-09-30", "2015-09-30T24:00:00Z", "2015-13-01T00:00:00Z",
          "2015-09-30T09:09:09.614", "2015-09-30T09:09:09.Z", "2015-09-30T09:09:09.6140000000Z",
          "2015-09-30T09:09:09Zx", "2015-09-30 09:09:09Z"}) {
        INFO(wrong);
        CHECK_FALSE(parse_timestamp(wrong));
    }
}

}  // namespace
}  // namespace smackd::marathon
