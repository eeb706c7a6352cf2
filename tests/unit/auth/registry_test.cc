#include "auth/registry.h"

#include <catch2/catch_test_macros.hpp>

namespace smackd::auth {
namespace {

TEST_CASE("registry: a server's KDC answers at the host of its cluster address") {
    CHECK(kdc_of_server("n1:5055", 88) == "n1:88");
    CHECK(kdc_of_server("10.0.0.1:5055", 5088) == "10.0.0.1:5088");
    CHECK(kdc_of_server("[2001:db8::1]:5055", 88) == "[2001:db8::1]:88");
}

}  // namespace
}  // namespace smackd::auth
