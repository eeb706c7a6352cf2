#include "core/result.h"

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <memory>

namespace smackd::core {
namespace {

Result<int> half(int number) {
    if (number % 2 != 0) return fail(Errc::kInvalid, "number {}: must be even", number);
    return number / 2;
}

Result<int> quarter(int number) {
    TRY_ASSIGN(const int once, half(number));
    TRY(half(once));
    return half(once);
}

Result<std::unique_ptr<int>> boxed(int number) {
    TRY_ASSIGN(auto value, half(number));
    return std::make_unique<int>(value);
}

Result<int> unboxed(int number) {
    TRY_ASSIGN(const auto box, boxed(number));
    return *box;
}

TEST_CASE("TRY passes values and errors") {
    CHECK(quarter(8).value() == 2);
    CHECK(quarter(6).error().message == "number 3: must be even");
    CHECK(quarter(7).error().code == Errc::kInvalid);
    CHECK(unboxed(4).value() == 2);
}

TEST_CASE("pass adds the context of a layer before the message") {
    const Result<int> plain = pass(half(3));
    CHECK(plain.error().to_string() == "invalid: number 3: must be even");
    const Result<int> wrapped = pass(half(3), "settings");
    CHECK(wrapped.error().message == "settings: number 3: must be even");
    CHECK(wrapped.error().code == Errc::kInvalid);
}

TEST_CASE("errno keeps its meaning") {
    CHECK(Result<void>(fail_errno(ENOSPC, "write")).error().code == Errc::kDiskFull);
    CHECK(Result<void>(fail_errno(EDQUOT, "write")).error().code == Errc::kDiskFull);
    CHECK(Result<void>(fail_errno(ENOENT, "open")).error().code == Errc::kNotFound);
    const Result<void> other = fail_errno(EACCES, "open /x");
    CHECK(other.error().code == Errc::kIo);
    CHECK(other.error().message.starts_with("open /x: "));
}

TEST_CASE("every code has a name of its own and an HTTP status of an error") {
    std::string names = ",";
    for (uint8_t code = 1; code <= 14; ++code) {
        const auto errc = static_cast<Errc>(code);
        const std::string name(errc_name(errc));
        CHECK(name != "unknown");
        CHECK_FALSE(names.contains("," + name + ","));
        names += name + ",";
        CHECK(http_status(errc) >= 400);
        CHECK(http_status(errc) < 600);
    }
    CHECK(errc_name(static_cast<Errc>(200)) == "unknown");
    CHECK(http_status(static_cast<Errc>(200)) == 500);
    CHECK(http_status(Errc::kUnauthenticated) == 401);
    CHECK(http_status(Errc::kDenied) == 403);
    CHECK(http_status(Errc::kBusy) == 503);
}

}  // namespace
}  // namespace smackd::core
