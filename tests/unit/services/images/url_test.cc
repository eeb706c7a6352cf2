#include "services/images/url.h"

#include <catch2/catch_test_macros.hpp>

#include "services/images/address_rules.h"
#include "services/images/artifact.h"

using namespace smackd;
using namespace smackd::services::images;
using core::Errc;

namespace {

const std::string kHex(64, 'b');

std::string refusal(const AddressRules& rules, std::string_view address) {
    return rules.refusal(*net::Address::parse(address)).value_or("");
}

core::Result<ArtifactPlan> plan(std::string uri, std::string destination = {}) {
    ArtifactRequest request{.uri = std::move(uri)};
    request.destination = std::move(destination);
    return plan_artifact(request);
}

}  // namespace

TEST_CASE("URLs and where redirections lead") {
    const Url url = *Url::parse("https://Example.ORG:8443/a/b?c=d#frag");
    CHECK(url.host == "example.org");
    CHECK(url.port == 8443);
    CHECK(url.target == "/a/b?c=d");
    CHECK(url.shown() == "https://example.org:8443/a/b");
    CHECK(Url::parse("http://[::1]")->host == "::1");
    CHECK(Url::parse("http://h?q")->target == "/?q");
    CHECK(url.follow("/x")->target == "/x");
    CHECK(url.follow("x?y")->target == "/a/x?y");
    CHECK(url.follow("//other/x")->host == "other");
    CHECK(url.follow("//other/x")->tls);
    CHECK(!url.follow("http://other/x")->tls);
    CHECK(url.follow("/x?to=http://y/")->host == "example.org");
    CHECK(url.same_origin(*url.follow("/x")));
    CHECK(!url.same_origin(*Url::parse("https://example.org/")));
    for (std::string_view bad :
         {"", "ftp://h/", "http://", "http://user:pw@h/", "http://h:0/", "http://h:99999/", "http://h/a b",
          "http://h\r\nX: y/", "http://[::1/", "http://[g]/", "http:/h", "//h/"}) {
        CAPTURE(bad);
        CHECK(!Url::parse(bad));
    }
    CHECK(!url.follow(""));
    CHECK(!url.follow("/a\r\nb"));
}

TEST_CASE("which addresses may be reached") {
    const AddressRules rules =
        *AddressRules::make({"127.0.0.2", "10.9.0.0/16"}, {"10.1.2.3", "fd00::1:0/112"});
    CHECK(refusal(rules, "10.1.2.4:80").empty());
    CHECK(refusal(rules, "192.0.2.1:80").empty());
    CHECK(refusal(rules, "[2001:db8::1]:80").empty());
    CHECK(refusal(rules, "127.0.0.2:80").empty());
    CHECK(refusal(rules, "127.0.0.1:80").find("loopback") != std::string::npos);
    CHECK(refusal(rules, "127.255.255.255:80").find("loopback") != std::string::npos);
    CHECK(refusal(rules, "0.0.0.0:80").find("unspecified") != std::string::npos);
    CHECK(refusal(rules, "169.254.169.254:80").find("link-local") != std::string::npos);
    CHECK(refusal(rules, "224.0.0.1:80").find("multicast") != std::string::npos);
    CHECK(refusal(rules, "255.255.255.255:80").find("reserved") != std::string::npos);
    CHECK(refusal(rules, "10.1.2.3:80").find("node") != std::string::npos);
    CHECK(refusal(rules, "[fd00::1:5]:80").find("node") != std::string::npos);
    CHECK(!refusal(rules, "[::1]:80").empty());
    CHECK(!refusal(rules, "[::]:80").empty());
    CHECK(!refusal(rules, "[fe80::1]:80").empty());
    CHECK(!refusal(rules, "[::ffff:127.0.0.1]:80").empty());
    CHECK(!refusal(rules, "[::ffff:169.254.169.254]:80").empty());
    CHECK(!refusal(rules, "[::127.0.0.1]:80").empty());
    CHECK(!refusal(rules, "[2002:7f00:1::]:80").empty());
    CHECK(!refusal(rules, "[64:ff9b::127.0.0.1]:80").empty());
    CHECK(!refusal(rules, "[64:ff9b::10.1.2.3]:80").empty());
    CHECK(!AddressRules::make({"10.0.0.0/33"}, {}));
    CHECK(!AddressRules::make({}, {"host"}));
    CHECK(!AddressRules::make({"10.0.0.0/"}, {}));
}

TEST_CASE("artifacts are planned from what people write") {
    const ArtifactPlan http = *plan("https://repo.example/dir/app%2D1.tgz?x=1#sha256=" + kHex);
    CHECK(http.scheme == ArtifactPlan::Scheme::kHttps);
    CHECK(http.target == "/dir/app%2D1.tgz?x=1");
    CHECK(http.file_name == "app-1.tgz");
    CHECK(http.archive == ArtifactPlan::Archive::kTar);
    CHECK(http.checksum->hex() == kHex);
    CHECK(plan("http://h/a.zip")->archive == ArtifactPlan::Archive::kZip);
    CHECK(plan("http://h/a.jar")->archive == ArtifactPlan::Archive::kNone);
    CHECK(plan("http://h/.zip")->archive == ArtifactPlan::Archive::kNone);
    CHECK(plan("http://h/download?id=7", "lib/x.tar.gz")->archive == ArtifactPlan::Archive::kTar);
    for (const char* name : {"a.tar.xz", "a.txz", "a.tar.bz2", "a.tbz2"}) {
        const auto refused = plan(std::string("http://h/") + name);
        REQUIRE(!refused);
        CHECK(refused.error().message.contains("not unpacked"));
        ArtifactRequest whole{.uri = std::string("http://h/") + name, .extract = false};
        CHECK(plan_artifact(whole)->archive == ArtifactPlan::Archive::kNone);
    }
    CHECK(plan("http://h/a", "lib/./x")->file_name == "lib/x");
    CHECK(plan("blob:sha256:" + kHex)->file_name == kHex);
    CHECK(plan("file:///etc/app.conf")->path == "/etc/app.conf");
    CHECK(plan("/etc/app.conf")->scheme == ArtifactPlan::Scheme::kFile);
    ArtifactRequest program{.uri = "http://h/tool.tar"};
    program.executable = true;
    CHECK(plan_artifact(program)->archive == ArtifactPlan::Archive::kNone);
    for (const char* bad :
         {"", "hdfs://h/x", "http://u:p@h/x", "http://h/", "http://h/..", "http://h/a%2fb", "http://h/a%",
          "http://h/a%0a", "http://h/x#md5=1", "http://h/x#sha256=1", "blob:x", "file:x", "h/x"}) {
        CAPTURE(bad);
        auto planned = plan(bad);
        REQUIRE(!planned);
        CHECK(planned.error().code == Errc::kInvalid);
        CHECK(planned.error().message.starts_with("fetch.uri"));
    }
    for (const char* bad : {"/abs", "../x", "a/../b", ".", "./"}) {
        auto planned = plan("http://h/x", bad);
        REQUIRE(!planned);
        CHECK(planned.error().message.starts_with("fetch.destPath"));
    }
    CHECK(!plan("http://h/" + std::string(kArtifactUriBytesMax, 'x')));
    CHECK(!plan("blob:sha256:" + kHex + "#sha256=" + std::string(64, 'c')));
}
