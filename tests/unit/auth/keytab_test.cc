#include "auth/keytab.h"

#include <sys/stat.h>

#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <fstream>

#include "temporary_directory.h"

using namespace smackd;
using auth::Keytab;
using auth::KeytabEntry;
using auth::test::TemporaryDirectory;

namespace {

Keytab sample() {
    return Keytab({
        {"HTTP/a.test@R.TEST", 1, 18, std::string(32, 'k'), 1700000000},
        {"HTTP/a.test@R.TEST", 300, 20, std::string(32, 'l'), 1700000001},
        {"smack/a.test@R.TEST", 2, 17, std::string(16, 'm'), 1700000002},
    });
}

}  // namespace

TEST_CASE("a keytab survives writing and reading, with kvnos above 255") {
    const auto bytes = sample().serialize();
    REQUIRE(bytes);
    const auto again = Keytab::parse(*bytes);
    REQUIRE(again);
    CHECK(again->entries() == sample().entries());
    CHECK(again->find("HTTP/a.test@R.TEST")->kvno == 300);
    CHECK(again->principals() == std::vector<std::string>{"HTTP/a.test@R.TEST", "smack/a.test@R.TEST"});
}

TEST_CASE("a keytab file is private and replaced whole") {
    const TemporaryDirectory directory;
    const std::string path = directory / "http.keytab";
    std::ofstream(path) << "old";
    REQUIRE(sample().write(path));
    struct stat about{};
    REQUIRE(::stat(path.c_str(), &about) == 0);
    CHECK((about.st_mode & 0777U) == 0600);
    CHECK(Keytab::read(path)->entries().size() == 3);
    CHECK(std::distance(std::filesystem::directory_iterator(directory.path()), {}) == 1);
}

TEST_CASE("errors about a keytab say what is there and what to do") {
    const auto missing = Keytab::read("/nonexistent/x.keytab");
    REQUIRE_FALSE(missing);
    CHECK(missing.error().code == core::Errc::kNotFound);
    CHECK(missing.error().message.contains("/nonexistent/x.keytab"));

    const auto lacking = sample().require("HTTP/b.test@R.TEST", "/etc/x.keytab");
    REQUIRE_FALSE(lacking);
    CHECK(lacking.error().message.contains("/etc/x.keytab has no key of HTTP/b.test@R.TEST"));
    CHECK(lacking.error().message.contains("HTTP/a.test@R.TEST kvno 300 (aes256-cts-hmac-sha384-192)"));
    CHECK_FALSE(lacking.error().message.contains("kkkk"));
    CHECK(sample().require("smack/a.test@R.TEST", "x"));
}

TEST_CASE("damaged keytabs are refused at every length and never read past") {
    const std::string bytes = *sample().serialize();
    for (size_t length = 0; length < bytes.size(); length++) {
        const auto cut = Keytab::parse(std::string_view(bytes).substr(0, length));
        if (cut) CHECK(cut->entries().size() < 3);
    }
    CHECK_FALSE(Keytab::parse("hello"));
    std::string components = bytes;
    components[7] = 99;  // the number of name components
    CHECK_FALSE(Keytab::parse(components));
}

TEST_CASE("holes and trailing zeros of a keytab are skipped") {
    std::string bytes = *sample().serialize();
    const std::string hole(
        "\xff\xff\xff\xfa"
        "abcdef",
        10);
    bytes.insert(2, hole);
    bytes += std::string(8, '\0');
    const auto read = Keytab::parse(bytes);
    REQUIRE(read);
    CHECK(read->entries() == sample().entries());
}
