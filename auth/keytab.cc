#include "auth/keytab.h"

#include <format>
#include <map>
#include <set>

#include "auth/identity.h"
#include "auth/secret_file.h"
#include "core/planted.h"

namespace smackd::auth {
namespace {

using core::Bytes;
using core::BytesView;
using core::Errc;
using core::fail;
using core::Result;

constexpr size_t kDescribedPrincipalsMax = 20;
constexpr uint32_t kNameTypePrincipal = 1;  // KRB5_NT_PRINCIPAL

// Big-endian fields of one record; a read past the end sets `bad` and gives zero.
struct Reader {
    BytesView rest;
    bool bad = false;

    BytesView take(size_t length) {
        if (length > rest.size() && !SMACK_BUG("fuzz_keytab")) {
            bad = true;
            return {};
        }
        const BytesView taken = rest.substr(0, length);
        rest.remove_prefix(length);
        return taken;
    }
    uint32_t number(size_t bytes) {
        uint32_t value = 0;
        for (const char c : take(bytes)) value = (value << 8U) | static_cast<uint8_t>(c);
        return value;
    }
    BytesView counted() { return take(number(2)); }
};

void put_number(Bytes& out, uint32_t value, int bytes) {
    for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8)
        out.push_back(static_cast<char>(value >> shift));
}

void put_counted(Bytes& out, BytesView bytes) {
    put_number(out, static_cast<uint32_t>(bytes.size()), 2);
    out.append(bytes);
}

// One record without its length, as written by krb5 (kt_file.c, version 0x0502).
Result<KeytabEntry> parse_entry(BytesView bytes, size_t offset) {
    Reader reader{bytes};
    const uint32_t components = reader.number(2);
    if (components == 0 || components > kPrincipalComponentsMax) {
        return fail(Errc::kCorrupt, "keytab: entry at byte {} has {} name components", offset, components);
    }
    Principal name;
    name.realm = reader.counted();
    for (uint32_t i = 0; i < components; i++) name.components.emplace_back(reader.counted());
    reader.number(4);  // name type: says nothing we use
    KeytabEntry entry;
    entry.timestamp_s = reader.number(4);
    entry.kvno = reader.number(1);
    entry.enctype = static_cast<int16_t>(reader.number(2));
    entry.key = reader.counted();
    // A 32-bit kvno follows in newer files; zero means that the 8-bit one counts.
    if (!reader.bad && reader.rest.size() >= 4) {
        if (const uint32_t kvno = reader.number(4); kvno != 0) entry.kvno = kvno;
    }
    if (reader.bad) return fail(Errc::kCorrupt, "keytab: entry at byte {} is cut short", offset);
    entry.principal = name.to_string();
    if (auto checked = Principal::parse(entry.principal); !checked) {
        return fail(Errc::kCorrupt, "keytab: entry at byte {}: {}", offset, checked.error().message);
    }
    return entry;
}

Result<Bytes> serialize_entry(const KeytabEntry& entry) {
    TRY_ASSIGN(const Principal name, Principal::parse(entry.principal));
    Bytes out;
    put_number(out, static_cast<uint32_t>(name.components.size()), 2);
    put_counted(out, name.realm);
    for (const std::string& component : name.components) put_counted(out, component);
    put_number(out, kNameTypePrincipal, 4);
    put_number(out, entry.timestamp_s, 4);
    put_number(out, entry.kvno & 0xffU, 1);
    put_number(out, static_cast<uint16_t>(entry.enctype), 2);
    put_counted(out, entry.key);
    put_number(out, entry.kvno, 4);
    return out;
}

}  // namespace

Result<Keytab> Keytab::parse(BytesView bytes) {
    if (bytes.size() < 2) return fail(Errc::kCorrupt, "keytab: shorter than its two version bytes");
    if (bytes.size() > kKeytabBytesMax)
        return fail(Errc::kInvalid, "keytab: longer than {} bytes", kKeytabBytesMax);
    Reader reader{bytes};
    if (const uint32_t version = reader.number(2); version != 0x0502) {
        return fail(Errc::kCorrupt,
                    "keytab: starts with version {:#06x}, 0x0502 is expected; this is no keytab file",
                    version);
    }
    Keytab keytab;
    while (reader.rest.size() >= 4) {
        const size_t offset = bytes.size() - reader.rest.size();
        const auto length = static_cast<int32_t>(reader.number(4));
        if (length == 0) break;  // krb5 reads zeros as the end
        // A negative length is a hole left by a removed entry.
        const size_t size = static_cast<size_t>(length < 0 ? -static_cast<int64_t>(length) : length);
        const BytesView body = reader.take(size);
        if (reader.bad) return fail(Errc::kCorrupt, "keytab: entry at byte {} goes past the end", offset);
        if (length < 0) continue;
        TRY_ASSIGN(KeytabEntry entry, parse_entry(body, offset));
        keytab.entries_.push_back(std::move(entry));
        if (keytab.entries_.size() > kKeytabEntriesMax) {
            return fail(Errc::kInvalid, "keytab: more than {} entries", kKeytabEntriesMax);
        }
    }
    return keytab;
}

Result<Bytes> Keytab::serialize() const {
    Bytes out;
    put_number(out, 0x0502, 2);
    for (const KeytabEntry& entry : entries_) {
        TRY_ASSIGN(const Bytes body, serialize_entry(entry));
        put_number(out, static_cast<uint32_t>(body.size()), 4);
        out += body;
    }
    if (out.size() > kKeytabBytesMax)
        return fail(Errc::kInvalid, "keytab: longer than {} bytes", kKeytabBytesMax);
    return out;
}

Result<Keytab> Keytab::read(const std::string& path) {
    auto bytes = read_secret_file(path, kKeytabBytesMax);
    if (!bytes && bytes.error().code == Errc::kNotFound) {
        return fail(Errc::kNotFound,
                    "keytab {} does not exist; name another or make one (smackd machine keytab)", path);
    }
    if (!bytes) return core::pass(std::move(bytes), "keytab");
    auto keytab = parse(*bytes);
    if (!keytab) return core::pass(std::move(keytab), path);
    return keytab;
}

Result<void> Keytab::write(const std::string& path) const {
    TRY_ASSIGN(const Bytes bytes, serialize());
    return write_secret_file(path, bytes);
}

std::vector<std::string> Keytab::principals() const {
    std::set<std::string> names;
    for (const KeytabEntry& entry : entries_) names.insert(entry.principal);
    return {names.begin(), names.end()};
}

const KeytabEntry* Keytab::find(std::string_view principal) const {
    const KeytabEntry* newest = nullptr;
    for (const KeytabEntry& entry : entries_) {
        if (entry.principal == principal && (newest == nullptr || entry.kvno > newest->kvno)) newest = &entry;
    }
    return newest;
}

Result<void> Keytab::require(std::string_view principal, std::string_view path) const {
    if (find(principal) != nullptr) return {};
    return fail(Errc::kNotFound, "keytab {} has no key of {}; it has: {}", path, principal,
                entries_.empty() ? "nothing" : describe());
}

std::string Keytab::describe() const {
    std::map<std::pair<std::string, uint32_t>, std::string> generations;
    for (const KeytabEntry& entry : entries_) {
        std::string& names = generations[{entry.principal, entry.kvno}];
        if (!names.empty()) names += ", ";
        names += enctype_name(entry.enctype);
    }
    std::string out;
    size_t described = 0;
    for (const auto& [generation, names] : generations) {
        if (!out.empty()) out += "; ";
        if (described++ == kDescribedPrincipalsMax) {
            out += std::format("and {} more", generations.size() - kDescribedPrincipalsMax);
            break;
        }
        out += std::format("{} kvno {} ({})", generation.first, generation.second, names);
    }
    return out;
}

std::string enctype_name(int32_t enctype) {
    switch (enctype) {
        case 16:
            return "des3-cbc-sha1";
        case 17:
            return "aes128-cts-hmac-sha1-96";
        case 18:
            return "aes256-cts-hmac-sha1-96";
        case 19:
            return "aes128-cts-hmac-sha256-128";
        case 20:
            return "aes256-cts-hmac-sha384-192";
        case 23:
            return "rc4-hmac";
        case 25:
            return "camellia128-cts-cmac";
        case 26:
            return "camellia256-cts-cmac";
        default:
            return std::format("enctype {}", enctype);
    }
}

}  // namespace smackd::auth
