#include "core/bytes.h"

#include <catch2/catch_test_macros.hpp>

#include "core/random.h"

namespace smackd::core {
namespace {

Bytes random_bytes(SeededRandom& random, size_t length) {
    Bytes bytes;
    for (size_t i = 0; i < length; ++i) bytes.push_back(static_cast<char>(random.below(256)));
    return bytes;
}

TEST_CASE("hex") {
    CHECK(to_hex(std::string_view("\x00\x7f\xff", 3)) == "007fff");
    CHECK(from_hex("007fFF").value() == std::string("\x00\x7f\xff", 3));
    CHECK(from_hex("").value().empty());
    CHECK(from_hex("abc").error().code == Errc::kInvalid);
    CHECK(from_hex("0g").error().code == Errc::kInvalid);
}

TEST_CASE("base64 as in RFC 4648 section 10") {
    const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                           {"f", "Zg=="},
                                                           {"fo", "Zm8="},
                                                           {"foo", "Zm9v"},
                                                           {"foob", "Zm9vYg=="},
                                                           {"fooba", "Zm9vYmE="},
                                                           {"foobar", "Zm9vYmFy"}};
    for (const auto& [plain, encoded] : vectors) {
        CHECK(to_base64(plain) == encoded);
        CHECK(from_base64(encoded).value() == plain);
    }
}

TEST_CASE("base64 is strict") {
    for (const char* bad :
         {"Zg", "Zg=", "Zg===", "=Zg=", "Z===", "Zh==", "Zm9=", "Zm9v\n", "Zm 9v", "Zm-_", "Zg==Zg=="}) {
        CAPTURE(bad);
        CHECK(from_base64(bad).error().code == Errc::kInvalid);
    }
    for (const char* bad : {"Z", "Zg==", "Zh", "Zm9", "Zm+v", "Zm/v"}) {
        CAPTURE(bad);
        CHECK(from_base64url(bad).error().code == Errc::kInvalid);
    }
    CHECK(from_base64url("Zg").value() == "f");
    CHECK(to_base64url("\xfb\xff") == "-_8");
}

TEST_CASE("encodings come back for any bytes") {
    SeededRandom random(1);
    for (size_t length = 0; length < 70; ++length) {
        const Bytes bytes = random_bytes(random, length);
        CHECK(from_hex(to_hex(bytes)).value() == bytes);
        CHECK(from_base64(to_base64(bytes)).value() == bytes);
        CHECK(from_base64url(to_base64url(bytes)).value() == bytes);
    }
}

TEST_CASE("CRC-32C as in RFC 3720 appendix B.4, and in pieces") {
    CHECK(crc32c("123456789") == 0xE3069283U);
    CHECK(crc32c(Bytes(32, '\0')) == 0x8A9136AAU);
    CHECK(crc32c(Bytes(32, '\xff')) == 0x62A8AB43U);
    CHECK(crc32c("") == 0);
    SeededRandom random(2);
    const Bytes bytes = random_bytes(random, 301);
    const uint32_t whole = crc32c(bytes);
    for (size_t cut = 0; cut <= bytes.size(); cut += 13) {
        CHECK(crc32c(BytesView(bytes).substr(cut), crc32c(BytesView(bytes).substr(0, cut))) == whole);
    }
}

TEST_CASE("little-endian integers") {
    Bytes out;
    put_u32(out, 0x01020304);
    put_u64(out, 0x05060708090A0B0CULL);
    CHECK(to_hex(out) ==
          "04030201"
          "0c0b0a0908070605");
    CHECK(get_u32(out.data()) == 0x01020304);
    CHECK(get_u64(out.data() + 4) == 0x05060708090A0B0CULL);
}

TEST_CASE("constant-time equality") {
    CHECK(equal_constant_time("", ""));
    CHECK(equal_constant_time("abc", "abc"));
    CHECK_FALSE(equal_constant_time("abc", "abd"));
    CHECK_FALSE(equal_constant_time("xbc", "abc"));
    CHECK_FALSE(equal_constant_time("abc", "abcd"));
}

}  // namespace
}  // namespace smackd::core
