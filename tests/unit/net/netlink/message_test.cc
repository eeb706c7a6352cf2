#include "net/netlink/message.h"

#include <linux/netlink.h>

#include <catch2/catch_test_macros.hpp>

using namespace smackd;
using namespace smackd::net::netlink;

TEST_CASE("attributes are padded and nested ones know their length") {
    Message message(16, NLM_F_ACK);
    message.text(1, "ab").begin(2).u32_network(3, 0x01020304).u8(4, 9).end();
    const core::Bytes bytes = message.finish(7);
    nlmsghdr header{};
    std::memcpy(&header, bytes.data(), sizeof(header));
    CHECK(header.nlmsg_len == bytes.size());
    CHECK(header.nlmsg_type == 16);
    CHECK(header.nlmsg_flags == (NLM_F_ACK | NLM_F_REQUEST));
    CHECK(header.nlmsg_seq == 7);
    CHECK(core::to_hex(bytes.substr(sizeof(header))) ==
          "0700010061620000"  // length 7: "ab" and its NUL, padded
          "14000280"          // nested, 20 bytes
          "0800030001020304"
          "0500040009000000");
}

TEST_CASE("reading stops at an attribute that is cut") {
    const core::Bytes bytes = *core::from_hex(
        "080001000a000000"
        "0500020007000000"
        "ff00030001");
    std::vector<std::pair<int, size_t>> seen;
    each_attribute(bytes,
                   [&](uint16_t type, core::BytesView value) { seen.emplace_back(type, value.size()); });
    CHECK(seen == std::vector<std::pair<int, size_t>>{{1, 4}, {2, 1}});
    each_attribute(core::BytesView("\x00\x00\x00\x00", 4),
                   [&](uint16_t, core::BytesView) { FAIL("no attribute"); });
}
