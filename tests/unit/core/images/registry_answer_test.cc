#include <catch2/catch_test_macros.hpp>
#include <format>

#include "core/images/image_config.h"
#include "core/images/manifest.h"
#include "core/images/registry_auth.h"

using namespace smackd::core;
using namespace smackd::core::images;

namespace {

std::string digest(char c) {
    return "sha256:" + std::string(64, c);
}

std::string descriptor(std::string_view type, char c, std::string_view size = "10") {
    return std::format(R"({{"mediaType":"{}","digest":"{}","size":{}}})", type, digest(c), size);
}

std::string image(std::string_view media_type) {
    return std::format(R"({{"schemaVersion":2,"mediaType":"{}","config":{},"layers":[{},{}]}})", media_type,
                       descriptor("application/vnd.oci.image.config.v1+json", 'a'), descriptor("x/y", 'b'),
                       descriptor("x/y", 'c', "20"));
}

std::string index(std::string_view platforms) {
    return std::format(R"({{"schemaVersion":2,"manifests":[{}]}})", platforms);
}

std::string entry(char c, std::string_view os, std::string_view architecture, std::string_view variant) {
    return std::format(
        R"({{"digest":"{}","size":7,"platform":{{"os":"{}","architecture":"{}","variant":"{}"}}}})",
        digest(c), os, architecture, variant);
}

}  // namespace

TEST_CASE("manifests of both kinds are read") {
    for (std::string_view type : {kOciManifest, kDockerManifest}) {
        auto document = parse_manifest(std::string(type) + "; charset=utf-8", image(type));
        REQUIRE(document);
        const auto& manifest = std::get<Manifest>(*document);
        CHECK(manifest.config.digest.to_string() == digest('a'));
        REQUIRE(manifest.layers.size() == 2);
        CHECK(manifest.layers[1].digest.to_string() == digest('c'));
        CHECK(manifest.layers[1].size == 20);
    }
}

TEST_CASE("the manifest of a platform is chosen from an index") {
    const std::string text =
        index(entry('a', "linux", "arm64", "v8") + "," + entry('b', "unknown", "unknown", "") + "," +
              entry('c', "linux", "amd64", "") + "," + entry('d', "linux", "arm", "v6") + "," +
              entry('e', "linux", "arm", "v7"));
    auto document = parse_manifest(kOciIndex, text);
    REQUIRE(document);
    const auto& found = std::get<Index>(*document);
    CHECK(choose_platform(found, {"linux", "amd64", ""})->digest.to_string() == digest('c'));
    CHECK(choose_platform(found, {"linux", "arm64", ""})->digest.to_string() == digest('a'));
    CHECK(choose_platform(found, {"linux", "arm", "v7"})->digest.to_string() == digest('e'));
    CHECK(!choose_platform(found, {"unknown", "unknown", ""}));
    auto none = choose_platform(found, {"linux", "s390x", ""});
    REQUIRE(!none);
    CHECK(none.error().message.find("linux/arm64/v8, linux/amd64") != std::string::npos);
}

TEST_CASE("wrong manifests are refused") {
    struct Case {
        std::string_view type;
        std::string text;
        Errc code;
        std::string_view words;
    };
    const std::string config = descriptor("application/vnd.oci.image.config.v1+json", 'a');
    const Case cases[] = {
        {"", "", Errc::kInvalid, "manifest"},
        {"", "[]", Errc::kInvalid, "must be an object"},
        {"", R"({"schemaVersion":1})", Errc::kUnsupported, "schema 1"},
        {"", R"({"schemaVersion":3})", Errc::kInvalid, "schemaVersion"},
        {"text/html", image(kOciManifest), Errc::kUnsupported, "media type"},
        {kOciManifest, image(kDockerManifest), Errc::kInvalid, "mediaType"},
        {kOciIndex, R"({"schemaVersion":2,"config":{},"layers":[]})", Errc::kInvalid, "does not fit"},
        {"", R"({"schemaVersion":2,"layers":[],"manifests":[]})", Errc::kInvalid, "either"},
        {"", R"({"schemaVersion":2})", Errc::kInvalid, "either"},
        {"", index(""), Errc::kInvalid, "index.manifests"},
        {"", std::format(R"({{"schemaVersion":2,"config":{},"layers":[]}})", config), Errc::kInvalid,
         "layers"},
        {"", R"({"schemaVersion":2,"config":{"digest":"sha256:x","size":1},"layers":[]})", Errc::kInvalid,
         "digest"},
        {"",
         std::format(R"({{"schemaVersion":2,"config":{},"layers":[]}})",
                     descriptor("application/x-helm", 'a')),
         Errc::kUnsupported, "artifact"},
        {"",
         std::format(R"({{"schemaVersion":2,"config":{},"layers":[{}]}})", config,
                     descriptor("x", 'b', "-1")),
         Errc::kInvalid, "size"},
        {"",
         std::format(R"({{"schemaVersion":2,"config":{},"layers":[{}]}})", config,
                     descriptor("x", 'b', "99999999999999")),
         Errc::kInvalid, "size"},
    };
    for (const Case& wrong : cases) {
        CAPTURE(wrong.text);
        auto document = parse_manifest(wrong.type, wrong.text);
        REQUIRE(!document);
        CHECK(document.error().code == wrong.code);
        CHECK(document.error().message.find(wrong.words) != std::string::npos);
    }
    std::string many;
    for (size_t i = 0; i <= kLayersMax; ++i) many += (i > 0 ? "," : "") + descriptor("x", 'b');
    CHECK(
        !parse_manifest("", std::format(R"({{"schemaVersion":2,"config":{},"layers":[{}]}})", config, many)));
}

TEST_CASE("a config says how the image is run") {
    const std::string text = std::format(
        R"({{"os":"linux","architecture":"amd64","config":{{"Entrypoint":["/bin/sh","-c"],"Cmd":["x"],
        "Env":["PATH=/bin","EMPTY="],"User":"app:app","WorkingDir":"/srv/./app/","ExposedPorts":{{"8080/tcp":{{}},
        "53/udp":{{}},"80":{{}}}},"Volumes":{{"/d":{{}}}},"StopSignal":"SIGINT","Unknown":1}},
        "rootfs":{{"type":"layers","diff_ids":["{}"]}},"history":[{{"created_by":"x"}}]}})",
        digest('f'));
    auto config = parse_image_config(text);
    REQUIRE(config);
    CHECK(config->entrypoint == std::vector<std::string>{"/bin/sh", "-c"});
    CHECK(config->cmd == std::vector<std::string>{"x"});
    CHECK(config->environment == std::vector<std::string>{"PATH=/bin", "EMPTY="});
    CHECK(config->user == "app:app");
    CHECK(config->working_directory == "/srv/app");
    CHECK(config->exposed_ports == std::vector<ExposedPort>{{53, "udp"}, {80, "tcp"}, {8080, "tcp"}});
    CHECK(config->volumes == std::vector<std::string>{"/d"});
    CHECK(config->stop_signal == "SIGINT");
    CHECK(config->diff_ids[0].to_string() == digest('f'));
}

TEST_CASE("wrong configs are refused with the field") {
    auto with = [](std::string_view run) {
        return std::format(R"({{"config":{},"rootfs":{{"type":"layers","diff_ids":["{}"]}}}})", run,
                           digest('f'));
    };
    CHECK(parse_image_config(with("null"))->working_directory == "/");
    for (const auto& [run, field] : std::vector<std::pair<std::string, std::string>>{
             {"7", "config.config"},
             {R"({"Cmd":"x"})", "config.Cmd"},
             {R"({"Cmd":[1]})", "config.Cmd"},
             {R"({"Env":["NOVALUE"]})", "config.Env"},
             {R"({"Env":["=x"]})", "config.Env"},
             {R"({"Entrypoint":["a\u0000b"]})", "config.Entrypoint"},
             {R"({"WorkingDir":"a"})", "config.WorkingDir"},
             {R"({"WorkingDir":"/a/../../b"})", "config.WorkingDir"},
             {R"({"ExposedPorts":{"0/tcp":{}}})", "config.ExposedPorts"},
             {R"({"ExposedPorts":{"70000":{}}})", "config.ExposedPorts"},
             {R"({"ExposedPorts":{"80/icmp":{}}})", "config.ExposedPorts"},
         }) {
        auto config = parse_image_config(with(run));
        REQUIRE(!config);
        CHECK(config.error().message.starts_with(field));
    }
    CHECK(!parse_image_config(R"({"config":{},"rootfs":{"type":"layers","diff_ids":[]}})"));
    CHECK(!parse_image_config(R"({"config":{},"rootfs":{"type":"x","diff_ids":[]}})"));
    CHECK(!parse_image_config("{}"));
    CHECK(!parse_image_config(""));
}

TEST_CASE("challenges") {
    auto bearer = parse_challenges(
        R"(Bearer realm="https://auth.example/token",service="reg.example",scope="repository:a/b:pull,push")");
    REQUIRE(bearer);
    REQUIRE(bearer->size() == 1);
    CHECK(bearer->at(0) == Challenge{Challenge::Scheme::kBearer, "https://auth.example/token", "reg.example",
                                     "repository:a/b:pull,push"});
    auto several = parse_challenges(R"(Negotiate, Digest abc==, basic Realm = "a \"b\"", BEARER realm=x)");
    REQUIRE(several);
    REQUIRE(several->size() == 2);
    CHECK(several->at(0).realm == "a \"b\"");
    CHECK(several->at(1).scheme == Challenge::Scheme::kBearer);
    CHECK(parse_challenges("")->empty());
    CHECK(parse_challenges("NTLM TlRMTVNTUAAB, Basic realm=\"x\"")->size() == 1);
    for (std::string_view text :
         {"Bearer realm=\"x", "=", "Basic realm=a,realm=b", "Bearer realm=\"a\nb\"", "\"x\""}) {
        CAPTURE(text);
        CHECK(!parse_challenges(text));
    }
    CHECK(!parse_challenges("Basic realm=\"" + std::string(kChallengeBytesMax, 'x') + "\""));
}

TEST_CASE("token answers") {
    CHECK(parse_token_answer(R"({"token":"abc"})")->life_seconds == kTokenLifeDefaultSeconds);
    CHECK(parse_token_answer(R"({"access_token":"abc","expires_in":300})")->token == "abc");
    CHECK(parse_token_answer(R"({"token":"abc","expires_in":300})")->life_seconds == 300);
    CHECK(parse_token_answer(R"({"token":"abc","expires_in":1e30})")->life_seconds == kTokenLifeMaxSeconds);
    for (std::string_view text :
         {"", "{}", R"({"token":""})", R"({"token":"a b"})", R"({"token":"a\r\nX: y"})",
          R"({"token":"a","expires_in":-1})", R"({"token":"a","expires_in":"x"})"}) {
        CHECK(!parse_token_answer(text));
    }
    CHECK(registry_error_text(R"({"errors":[{"code":"DENIED","message":"no\u0007pe"}]})") == "nope");
    CHECK(registry_error_text(R"({"errors":[{"code":"DENIED"}]})") == "DENIED");
    CHECK(registry_error_text("<html>").empty());
}
