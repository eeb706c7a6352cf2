#include "cmd/smackd/node/own_address.h"

#include <catch2/catch_test_macros.hpp>

namespace smackd::cmd {
namespace {

TEST_CASE("the address that the node's name means, if it is here; else the first that is no loopback") {
    const std::vector<std::string> own{"127.0.0.1", "10.0.0.5", "192.168.1.5"};
    CHECK(choose_address({"192.168.1.5"}, own) == "192.168.1.5");
    CHECK(choose_address({"127.0.1.1", "192.168.1.5"}, own) ==
          "192.168.1.5");                                       // as Debian's /etc/hosts has it
    CHECK(choose_address({"203.0.113.9"}, own) == "10.0.0.5");  // behind NAT
    CHECK(choose_address({}, own) == "10.0.0.5");
    CHECK(choose_address({"127.0.0.1"}, {"127.0.0.1"}).empty());
}

}  // namespace
}  // namespace smackd::cmd
