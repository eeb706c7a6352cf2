#include <catch2/catch_test_macros.hpp>

#include "core/images/digest.h"
#include "core/images/image_name.h"

using namespace smackd::core;
using namespace smackd::core::images;

namespace {

const std::string kHex(64, 'a');

std::string normal(std::string_view text) {
    auto name = ImageName::parse(text);
    return name ? name->to_string() : "refused: " + name.error().message;
}

}  // namespace

TEST_CASE("a digest is sha256 with 64 lower-case digits") {
    CHECK(Digest::parse("sha256:" + kHex)->hex() == kHex);
    CHECK(Digest::of_sha256(Bytes(32, '\xaa')).to_string() == "sha256:" + kHex);
    for (std::string_view text : {"", "sha256:", "sha256:../../etc/passwd", "SHA256:aa", "md5:aa"}) {
        auto digest = Digest::parse(text);
        REQUIRE(!digest);
        CHECK(digest.error().code == Errc::kInvalid);
    }
    CHECK(!Digest::parse("sha256:" + kHex.substr(1)));
    CHECK(!Digest::parse("sha256:" + kHex + "a"));
    CHECK(!Digest::parse("sha256:A" + kHex.substr(1)));
    CHECK(Digest::parse("sha512:" + kHex).error().code == Errc::kUnsupported);
}

TEST_CASE("image names are normalised as Docker does") {
    CHECK(normal("redis") == "docker.io/library/redis:latest");
    CHECK(normal("cakesolutions/x") == "docker.io/cakesolutions/x:latest");
    CHECK(normal("docker.io/redis:7") == "docker.io/library/redis:7");
    CHECK(normal("index.docker.io/a/b") == "docker.io/a/b:latest");
    CHECK(normal("127.0.0.1:5055/test/py:docker2") == "127.0.0.1:5055/test/py:docker2");
    CHECK(normal("localhost/x") == "localhost/x:latest");
    CHECK(normal("[::1]:5000/x") == "[::1]:5000/x:latest");
    CHECK(normal("Registry.Example.ORG/a/b/c_d__e-f.g:V1") == "registry.example.org/a/b/c_d__e-f.g:V1");
    CHECK(normal("a@sha256:" + kHex) == "docker.io/library/a@sha256:" + kHex);
    CHECK(normal("a:1@sha256:" + kHex) == "docker.io/library/a:1@sha256:" + kHex);
    CHECK(ImageName::parse("redis")->api_host() == "registry-1.docker.io");
    CHECK(ImageName::parse("a:1@sha256:" + kHex)->reference() == "sha256:" + kHex);
    CHECK(*ImageName::parse("redis") == *ImageName::parse("docker.io/library/redis:latest"));
}

TEST_CASE("what is no image name is refused with its rule") {
    for (std::string_view text : {"",       "/",      "a//b",       "A",      "a/B",         "a:",
                                  "a:.x",   "-a",     "a-",         "a..b",   "a___b",       "a/../b",
                                  "a b",    "a\nb",   "a:1:2",      "a@",     "a@sha256:aa", "x.y:99999999/a",
                                  "x.y:/a", "x..y/a", "http://x/a", "[::1/a", "a.b/",        "a:b/c"}) {
        CAPTURE(text);
        auto name = ImageName::parse(text);
        REQUIRE(!name);
        CHECK(name.error().message.starts_with("image"));
    }
    CHECK(!ImageName::parse(std::string(300, 'a')));
    CHECK(!ImageName::parse("a:" + std::string(129, 't')));
    CHECK(!ImageName::parse(std::string(5000, 'a')));
}
