#include "net/http/message.h"

#include <catch2/catch_test_macros.hpp>

#include "net/http/sse.h"

namespace smackd::net::http {
namespace {

using core::Errc;

TEST_CASE("targets are decoded once and normalised") {
    CHECK(parse_target("/")->path == "/");
    CHECK(parse_target("/v2/apps//a/b/")->path == "/v2/apps/a/b");
    CHECK(parse_target("/v2/apps/%2Fproduct%2Fweb")->path == "/v2/apps/product/web");
    CHECK(parse_target("/a%20b/%25")->path == "/a b/%");
    CHECK(parse_target("http://host:80/x?y=1")->path == "/x");
    CHECK(parse_target("http://host")->path == "/");
    CHECK(parse_target("*")->path == "/");
    Target target = parse_target("/x?a=1&b=%26+c&a=2&flag&=v").value();
    CHECK(target.query ==
          std::vector<QueryPair>{{"a", "1"}, {"b", "& c"}, {"a", "2"}, {"flag", ""}, {"", "v"}});
    CHECK(target.query_value("a") == "1");
    CHECK(target.query_value("flag") == "");
    CHECK(!target.query_value("none"));
}

TEST_CASE("targets that could mean two things are refused") {
    for (const char* bad : {"", "x", "/%", "/%4", "/%zz", "/a/../b", "/%2e%2e/b", "/.", "/a%00b", "/a%0d%0ab",
                            "/a#b", "/x?a=%", "ftp://host/x", "/%2e./x/.."}) {
        INFO(bad);
        auto target = parse_target(bad);
        if (std::string_view(bad) == "/%2e./x/..") {
            CHECK(!target);
            continue;
        }
        CHECK((!target && target.error().code == Errc::kInvalid));
    }
}

TEST_CASE("header names have no case and lists have tokens") {
    Headers headers;
    headers.add("Content-Type", "a");
    headers.add("CONNECTION", "Keep-Alive , close");
    headers.add("x", "1");
    headers.add("X", "2");
    CHECK(headers.get("content-type") == "a");
    CHECK(headers.has_token("connection", "CLOSE"));
    CHECK(!headers.has_token("connection", "alive"));
    CHECK(headers.all("x").size() == 2);
    headers.set("x", "3");
    CHECK(headers.all("x") == std::vector<std::string_view>{"3"});
    CHECK(!valid_field_value("a\r\nb"));
    CHECK(!valid_field_name("a b"));
    CHECK(valid_field_value("a\tb \xc3\xa9"));
}

TEST_CASE("errors become responses") {
    Response response = Response::error({Errc::kBusy, "too \"many\"", 1500});
    CHECK(response.status == 503);
    CHECK(response.headers.get("retry-after") == "2");
    CHECK(response.body == R"({"error":"busy","message":"too \"many\""})");
    CHECK(percent_encode("a/b c") == "a%2Fb%20c");
}

TEST_CASE("an event cannot forge another") {
    CHECK(format_sse({"3.7", "machine", "one\ntwo\r\nthree"}) ==
          "id: 3.7\nevent: machine\ndata: one\ndata: two\ndata: three\n\n");
    CHECK(format_sse({"1\ndata: x", "", "a\rb"}) == "id: 1data: x\ndata: a\ndata: b\n\n");
    CHECK(format_sse({"", "", ""}) == "data: \n\n");
}

}  // namespace
}  // namespace smackd::net::http
