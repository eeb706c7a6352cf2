#include "core/dns/name.h"

#include <catch2/catch_test_macros.hpp>

#include "core/dns/sha1.h"

namespace smackd::core::dns {
namespace {

TEST_CASE("names become lengths and labels in lower case, and text again") {
    auto wire = name_to_wire("Web.Marathon.mesos.");
    REQUIRE(wire);
    CHECK(*wire == Bytes("\3web\10marathon\5mesos\0", 20));
    CHECK(name_to_text(*wire) == "web.marathon.mesos");
    CHECK(name_to_text(Bytes(1, '\0')) == ".");
    CHECK(name_to_text(Bytes("\3a.b\0", 5)) == "a\\046b");
}

TEST_CASE("names that break a rule are refused") {
    CHECK_FALSE(name_to_wire("a..b"));
    CHECK_FALSE(name_to_wire(".a"));
    CHECK_FALSE(name_to_wire(std::string(64, 'a')));
    CHECK(name_to_wire(std::string(63, 'a')));
    std::string longest;
    for (int i = 0; i < 4; ++i) longest += std::string(61, 'b') + ".";
    CHECK(name_to_wire(longest + "abcde"));  // 4 * 62 + 6 + 1 = 255 with the root
    CHECK_FALSE(name_to_wire(longest + "abcdef"));
}

TEST_CASE("labels are mangled as Mesos-DNS does") {
    CHECK(mangle_label("web.team-a") == "web-team-a");
    CHECK(mangle_label("Web_1") == "web-1");
    CHECK(mangle_label("-a$b-") == "ab");
    CHECK(mangle_label("...") == "");
    CHECK(mangle_label(std::string(70, 'x')).size() == 63);
    CHECK(mangle_labels("b_x.A..c") == "b-x.a.c");
}

TEST_CASE("a task's hash is the start of the z-base-32 SHA-1 of its id") {
    const auto digest = sha1("abc");  // RFC 3174, test 1
    CHECK(to_hex({reinterpret_cast<const char*>(digest.data()), digest.size()}) ==
          "a9993e364706816aba3e25717850c26c9cd0d89d");
    const auto longer = sha1("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq");
    CHECK(to_hex({reinterpret_cast<const char*>(longer.data()), longer.size()}) ==
          "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    // a9993e36 is 10101 00110 01100 10011 11100 ...
    CHECK(task_hash("abc") == "igcuh");
    CHECK(agent_suffix("2b0-4711-S12") == "s12");
}

}  // namespace
}  // namespace smackd::core::dns
