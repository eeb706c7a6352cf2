#include "auth/logon_info.h"

#include <algorithm>
#include <optional>

#include "core/ascii.h"
#include "core/planted.h"
#include "core/sid.h"

namespace smackd::auth {
namespace {

using core::BytesView;
using core::Errc;
using core::fail;
using core::Result;

constexpr uint32_t kLittleEndian = 0x10;
constexpr uint32_t kGroupEnabled = 0x4;         // SE_GROUP_ENABLED
constexpr uint32_t kGroupForDenying = 0x10;     // SE_GROUP_USE_FOR_DENY_ONLY
constexpr uint32_t kHasExtraSids = 0x20;        // UserFlags D
constexpr uint32_t kHasResourceGroups = 0x200;  // UserFlags H
constexpr size_t kSkippedTimes = 6 * 8;         // LogonTime to PasswordMustChange
constexpr size_t kSessionKeyBytes = 16;
constexpr size_t kSkippedStatus = 4 + 8 + 8 + 4 + 4;  // SubAuthStatus to Reserved3
constexpr uint32_t kReplacement = 0xFFFD;

/// Little-endian fields from the start of the bytes; a read past the end sets `bad` and gives zero.
struct Ndr {
    BytesView bytes;
    size_t at = 0;
    bool bad = false;

    BytesView take(size_t length) {
        if (bad || (length > bytes.size() - at && !SMACK_BUG("fuzz_logon_info"))) {
            bad = true;
            return {};
        }
        const BytesView taken(bytes.data() + at, length);
        at += length;
        return taken;
    }
    uint32_t number(size_t size) {
        uint32_t value = 0;
        const BytesView taken = take(size);
        for (size_t i = taken.size(); i-- > 0;) value = (value << 8U) | static_cast<uint8_t>(taken[i]);
        return value;
    }
    uint16_t half() { return static_cast<uint16_t>(number(2)); }
    uint32_t word() { return number(4); }
    void align() {
        if (at % 4 != 0) take(4 - at % 4);
    }
};

struct Sid {
    uint64_t authority = 0;
    std::vector<uint32_t> sub_authorities;

    std::string to_text() const { return core::sid_to_text(authority, sub_authorities); }
    std::string with_rid(uint32_t rid) const {
        Sid longer = *this;
        longer.sub_authorities.push_back(rid);
        return longer.to_text();
    }
};

/// RPC_UNICODE_STRING as it stands in the structure; the text itself follows later.
struct TextHead {
    size_t units = 0;
    bool there = false;
};

struct Group {
    uint32_t rid = 0;
    uint32_t attributes = 0;
};

bool counts(uint32_t attributes) {
    return (attributes & kGroupEnabled) != 0 && (attributes & kGroupForDenying) == 0;
}

void append_utf8(std::string& out, uint32_t code) {
    if (code < 0x80) {
        out.push_back(static_cast<char>(code));
        return;
    }
    const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    constexpr uint32_t kLead[] = {0, 0xC0, 0xE0, 0xF0};
    out.push_back(static_cast<char>(kLead[more] | (code >> (6U * static_cast<unsigned>(more)))));
    for (int i = more - 1; i >= 0; i--)
        out.push_back(static_cast<char>(0x80U | ((code >> (6U * static_cast<unsigned>(i))) & 0x3FU)));
}

std::string to_utf8(BytesView utf16) {
    std::string out;
    const auto unit = [&](size_t i) {
        return static_cast<uint32_t>(static_cast<uint8_t>(utf16[2 * i]) |
                                     (static_cast<uint32_t>(static_cast<uint8_t>(utf16[2 * i + 1])) << 8U));
    };
    const size_t count = utf16.size() / 2;
    for (size_t i = 0; i < count; i++) {
        uint32_t code = unit(i);
        if (code >= 0xD800 && code < 0xE000) {
            const bool paired = code < 0xDC00 && i + 1 < count && (unit(i + 1) & 0xFC00U) == 0xDC00;
            code = paired ? 0x10000 + ((code & 0x3FFU) << 10U) + (unit(++i) & 0x3FFU) : kReplacement;
        }
        append_utf8(out, code);
    }
    return out;
}

std::unexpected<core::Error> wrong(std::string_view what) {
    return fail(Errc::kInvalid, "logon info of the ticket: {}", what);
}

class Parser {
 public:
    explicit Parser(BytesView bytes) : in_{bytes} {}
    Result<LogonInfo> parse();

 private:
    Result<void> read_headers();
    TextHead text_head();
    Result<std::string> text(const TextHead& head);
    Result<std::vector<Group>> groups(bool there, uint32_t count);
    Result<std::optional<Sid>> sid(bool there);
    Result<void> extra_sids(bool there, uint32_t count, bool wanted);
    bool pointer() { return in_.word() != 0; }

    Ndr in_;
    LogonInfo info_;
};

// MS-RPCE 2.2.6.1 and 2.2.6.2, then the pointer to the structure.
Result<void> Parser::read_headers() {
    const uint32_t version = in_.number(1);
    const uint32_t order = in_.number(1);
    const uint32_t header = in_.half();
    if (in_.bad || version != 1 || order != kLittleEndian || header != 8)
        return wrong("it is not NDR type serialization version 1, little-endian");
    in_.word();  // filler
    if (in_.word() > in_.bytes.size() - std::min<size_t>(16, in_.bytes.size()))
        return wrong("it is shorter than its header says");
    in_.word();  // filler
    if (!pointer()) return wrong("it is empty");
    return {};
}

TextHead Parser::text_head() {
    const size_t bytes = in_.half();
    in_.half();  // MaximumLength
    return {bytes / 2, pointer()};
}

// A conformant varying array: maximum, offset, length, elements.
Result<std::string> Parser::text(const TextHead& head) {
    if (!head.there) return std::string();
    in_.align();
    const uint32_t maximum = in_.word();
    const uint32_t offset = in_.word();
    const uint32_t units = in_.word();
    if (offset != 0 || units > maximum || units != head.units || units > kLogonTextUnitsMax)
        return wrong("a text's length does not fit");
    return to_utf8(in_.take(size_t{units} * 2));
}

Result<std::vector<Group>> Parser::groups(bool there, uint32_t count) {
    std::vector<Group> found;
    if (!there && count == 0) return found;
    in_.align();
    if (!there || in_.word() != count || count > kLogonGroupsMax)
        return wrong("its number of groups does not fit");
    for (uint32_t i = 0; i < count && !in_.bad; i++) {
        const uint32_t rid = in_.word();
        found.push_back({rid, in_.word()});
    }
    return found;
}

Result<std::optional<Sid>> Parser::sid(bool there) {
    if (!there) return std::optional<Sid>();
    in_.align();
    const uint32_t maximum = in_.word();
    const uint32_t revision = in_.number(1);
    const uint32_t count = in_.number(1);
    if (in_.bad || revision != 1 || count != maximum || count > core::kSubAuthoritiesMax)
        return wrong("a SID in it is malformed");
    Sid found;
    for (const char byte : in_.take(6))
        found.authority = (found.authority << 8U) | static_cast<uint8_t>(byte);
    for (uint32_t i = 0; i < count; i++) found.sub_authorities.push_back(in_.word());
    return std::optional<Sid>(std::move(found));
}

// An array of {pointer, attributes}, then what the pointers mean.
Result<void> Parser::extra_sids(bool there, uint32_t count, bool wanted) {
    if (!there && count == 0) return {};
    in_.align();
    if (!there || in_.word() != count || count > kLogonGroupsMax)
        return wrong("its number of extra groups does not fit");
    std::vector<uint32_t> attributes;
    for (uint32_t i = 0; i < count && !in_.bad; i++) {
        if (!pointer()) return wrong("an extra group has no SID");
        attributes.push_back(in_.word());
    }
    for (const uint32_t attribute : attributes) {
        TRY_ASSIGN(const auto extra, sid(true));
        if (wanted && counts(attribute)) info_.group_sids.push_back(extra->to_text());
    }
    return {};
}

Result<LogonInfo> Parser::parse() {
    if (in_.bytes.size() > kLogonInfoBytesMax) return wrong("it is too long");
    TRY(read_headers());
    // The structure; what its pointers mean follows in the same order.
    in_.take(kSkippedTimes);
    const TextHead account = text_head();
    const TextHead full_name = text_head();
    const TextHead script = text_head();
    const TextHead profile = text_head();
    const TextHead home = text_head();
    const TextHead drive = text_head();
    in_.word();  // LogonCount, BadPasswordCount
    const uint32_t user_rid = in_.word();
    const uint32_t primary_rid = in_.word();
    const uint32_t group_count = in_.word();
    const bool has_groups = pointer();
    const uint32_t flags = in_.word();
    in_.take(kSessionKeyBytes);
    const TextHead server = text_head();
    const TextHead domain_name = text_head();
    const bool has_domain = pointer();
    in_.take(2 * 4);  // Reserved1
    in_.word();       // UserAccountControl
    in_.take(kSkippedStatus);
    const uint32_t extra_count = in_.word();
    const bool has_extra = pointer();
    const bool has_resource_domain = pointer();
    const uint32_t resource_count = in_.word();
    const bool has_resources = pointer();

    TRY_ASSIGN(info_.account, text(account));
    TRY_ASSIGN(info_.full_name, text(full_name));
    for (const TextHead& skipped : {script, profile, home, drive}) TRY(text(skipped));
    TRY_ASSIGN(const auto in_domain, groups(has_groups, group_count));
    for (const TextHead& skipped : {server, domain_name}) TRY(text(skipped));
    TRY_ASSIGN(const auto domain, sid(has_domain));
    TRY(extra_sids(has_extra, extra_count, (flags & kHasExtraSids) != 0));
    TRY_ASSIGN(const auto resource_domain, sid(has_resource_domain));
    TRY_ASSIGN(const auto resources, groups(has_resources, resource_count));
    if (in_.bad) return wrong("it is cut short");
    if (!domain) return wrong("it names no domain");

    info_.sid = domain->with_rid(user_rid);
    info_.group_sids.push_back(domain->with_rid(primary_rid));
    for (const Group& group : in_domain) {
        if (counts(group.attributes)) info_.group_sids.push_back(domain->with_rid(group.rid));
    }
    const bool take_resources = resource_domain && (flags & kHasResourceGroups) != 0;
    for (const Group& group : resources) {
        if (take_resources && counts(group.attributes))
            info_.group_sids.push_back(resource_domain->with_rid(group.rid));
    }
    std::ranges::sort(info_.group_sids);
    const auto repeated = std::ranges::unique(info_.group_sids);
    info_.group_sids.erase(repeated.begin(), repeated.end());
    return std::move(info_);
}

}  // namespace

Result<LogonInfo> parse_logon_info(BytesView bytes) {
    return Parser(bytes).parse();
}

bool is_account_of(std::string_view account, std::string_view user) {
    return std::ranges::equal(account, user,
                              [](char a, char b) { return core::ascii_lower(a) == core::ascii_lower(b); });
}

}  // namespace smackd::auth
