// What a directory says of a user, as NDR: read right, cut short at every byte, and wrong in every length.
#include "auth/logon_info.h"

#include <catch2/catch_test_macros.hpp>
#include <optional>

#include "core/bytes.h"

using namespace smackd;
using auth::LogonInfo;
using auth::parse_logon_info;
using core::Bytes;

namespace {

struct Sid {
    uint8_t authority = 5;
    std::vector<uint32_t> rest;
};
struct Group {
    uint32_t rid = 0;
    uint32_t attributes = 7;
};
struct Extra {
    Sid sid;
    uint32_t attributes = 7;
};

constexpr uint32_t kExtraFlag = 0x20;
constexpr uint32_t kResourceFlag = 0x200;

/// Writes what a KDC writes: KERB_VALIDATION_INFO of MS-PAC 2.5.
struct Writer {
    std::u16string account = u"alice";
    std::u16string full_name = u"Alice Löwe \U0001F981";
    uint32_t user = 1103;
    uint32_t primary = 513;
    std::vector<Group> groups = {{513}, {1104}};
    uint32_t flags = kExtraFlag;
    std::optional<Sid> domain = Sid{5, {21, 1, 2, 3}};
    std::vector<Extra> extras = {{{18, {1}}}};
    std::optional<Sid> resource_domain;
    std::vector<Group> resources;
    uint32_t group_count_lie = 0;  // added to what the structure says

    Bytes structure;
    Bytes deferred;
    uint32_t next_pointer = 0x20000;

    void half(Bytes& out, size_t value) {
        out.push_back(static_cast<char>(value));
        out.push_back(static_cast<char>(value >> 8U));
    }
    void pad(Bytes& out) {
        while (out.size() % 4 != 0) out.push_back('\0');
    }
    void pointer(bool there) { core::put_u32(structure, there ? next_pointer += 4 : 0); }

    void text(const std::u16string& value) {
        half(structure, value.size() * 2);
        half(structure, value.size() * 2);
        pointer(true);
        pad(deferred);
        const auto units = static_cast<uint32_t>(value.size());
        for (const uint32_t number : {units, 0U, units}) core::put_u32(deferred, number);
        for (const char16_t unit : value) half(deferred, unit);
    }
    void sid(const Sid& value) {
        pad(deferred);
        core::put_u32(deferred, static_cast<uint32_t>(value.rest.size()));
        deferred.push_back(1);
        deferred.push_back(static_cast<char>(value.rest.size()));
        for (int i = 0; i < 5; i++) deferred.push_back('\0');
        deferred.push_back(static_cast<char>(value.authority));
        for (const uint32_t number : value.rest) core::put_u32(deferred, number);
    }
    void group_list(const std::vector<Group>& list) {
        core::put_u32(structure, static_cast<uint32_t>(list.size()) + group_count_lie);
        pointer(!list.empty());
        if (list.empty()) return;
        pad(deferred);
        core::put_u32(deferred, static_cast<uint32_t>(list.size()));
        for (const Group& group : list) {
            core::put_u32(deferred, group.rid);
            core::put_u32(deferred, group.attributes);
        }
    }

    Bytes bytes() {
        structure.append(48, '\x7f');  // times
        text(account);
        text(full_name);
        for (int i = 0; i < 4; i++) text(u"");
        core::put_u32(structure, 0);  // counts
        core::put_u32(structure, user);
        core::put_u32(structure, primary);
        group_list(groups);
        core::put_u32(structure, flags);
        structure.append(16, '\0');  // session key
        text(u"DC1");
        text(u"EXAMPLE");
        pointer(domain.has_value());
        if (domain) sid(*domain);
        structure.append(8 + 4 + 28, '\0');
        core::put_u32(structure, static_cast<uint32_t>(extras.size()));
        pointer(!extras.empty());
        if (!extras.empty()) {
            pad(deferred);
            core::put_u32(deferred, static_cast<uint32_t>(extras.size()));
            for (const Extra& extra : extras) {
                core::put_u32(deferred, next_pointer += 4);
                core::put_u32(deferred, extra.attributes);
            }
            for (const Extra& extra : extras) sid(extra.sid);
        }
        pointer(resource_domain.has_value());
        if (resource_domain) sid(*resource_domain);
        group_count_lie = 0;
        group_list(resources);

        Bytes out("\x01\x10\x08\x00\xcc\xcc\xcc\xcc", 8);
        core::put_u32(out, static_cast<uint32_t>(4 + structure.size() + deferred.size()));
        core::put_u32(out, 0);
        core::put_u32(out, 0x20000);
        return out + structure + deferred;
    }
};

std::string problem(Writer writer) {
    const auto parsed = parse_logon_info(writer.bytes());
    return parsed ? "none" : parsed.error().message;
}

}  // namespace

TEST_CASE("names and groups of a user") {
    const auto parsed = parse_logon_info(Writer().bytes());
    INFO((parsed ? "" : parsed.error().message));
    REQUIRE(parsed);
    CHECK(parsed->account == "alice");
    CHECK(parsed->full_name == "Alice Löwe \U0001F981");
    CHECK(parsed->sid == "S-1-5-21-1-2-3-1103");
    CHECK(parsed->group_sids ==
          std::vector<std::string>{"S-1-18-1", "S-1-5-21-1-2-3-1104", "S-1-5-21-1-2-3-513"});
}

TEST_CASE("only groups that are enabled and announced count") {
    Writer writer;
    writer.primary = 515;
    writer.groups = {{1200, 0x7}, {1201, 0x3}, {1202, 0x17}};  // enabled, not enabled, for denying only
    writer.resource_domain = Sid{5, {21, 9, 9, 9}};
    writer.resources = {{1300, 0x20000007}};
    SECTION("neither extra nor resource groups are announced") {
        writer.flags = 0;
        CHECK(parse_logon_info(writer.bytes())->group_sids ==
              std::vector<std::string>{"S-1-5-21-1-2-3-1200", "S-1-5-21-1-2-3-515"});
    }
    SECTION("resource groups are") {
        writer.flags = kResourceFlag;
        writer.extras.clear();
        CHECK(parse_logon_info(writer.bytes())->group_sids ==
              std::vector<std::string>{"S-1-5-21-1-2-3-1200", "S-1-5-21-1-2-3-515", "S-1-5-21-9-9-9-1300"});
    }
}

TEST_CASE("no group at all") {
    Writer writer;
    writer.groups.clear();
    writer.extras.clear();
    writer.full_name.clear();
    const auto parsed = parse_logon_info(writer.bytes());
    REQUIRE(parsed);
    CHECK(parsed->full_name.empty());
    CHECK(parsed->group_sids == std::vector<std::string>{"S-1-5-21-1-2-3-513"});
}

TEST_CASE("bytes that are something else") {
    CHECK_FALSE(parse_logon_info(""));
    CHECK_FALSE(parse_logon_info(std::string(400, '\0')));
    CHECK(parse_logon_info(std::string(auth::kLogonInfoBytesMax + 1, '\1'))
              .error()
              .message.contains("too long"));
    Writer no_domain;
    no_domain.domain.reset();
    CHECK(problem(no_domain).contains("names no domain"));
    Writer lie;
    lie.group_count_lie = 1;
    CHECK(problem(lie).contains("number of groups"));
    Writer deep;
    deep.domain = Sid{5, std::vector<uint32_t>(16, 1)};
    CHECK(problem(deep).contains("SID"));
    Writer long_text;
    long_text.account = std::u16string(auth::kLogonTextUnitsMax + 1, u'a');
    CHECK(problem(long_text).contains("text's length"));
    Writer big_endian;
    Bytes swapped = big_endian.bytes();
    swapped[1] = 0;
    CHECK(parse_logon_info(swapped).error().message.contains("little-endian"));
}

TEST_CASE("cut short at any byte it is refused") {
    const Bytes whole = Writer().bytes();
    for (size_t length = 0; length < whole.size(); length++) {
        INFO(length);
        CHECK_FALSE(parse_logon_info(whole.substr(0, length)));
    }
}

TEST_CASE("half a surrogate pair is shown as unknown") {
    Writer writer;
    writer.full_name = {u'a', 0xD83E, u'b', 0xDD81};
    CHECK(parse_logon_info(writer.bytes())->full_name == "a\uFFFDb\uFFFD");
}

TEST_CASE("an account is whose name it has, whatever its case") {
    CHECK(auth::is_account_of("Alice", "alice"));
    CHECK_FALSE(auth::is_account_of("alice$", "alice"));
    CHECK_FALSE(auth::is_account_of("mallory", "alice"));
    CHECK_FALSE(auth::is_account_of("", "alice"));
}
