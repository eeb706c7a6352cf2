#include "auth/realm.h"

#include <kdb.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <format>

#include "auth/identity.h"
#include "auth/krb5_handles.h"
#include "auth/sealing.h"
#include "core/names.h"
#include "core/wire/realm.pb.h"
#include "net/crypto/random.h"

namespace smackd::auth {
namespace {

using core::Bytes;
using core::BytesView;
using core::Errc;
using core::fail;
using core::Result;
using core::WallTime;

constexpr krb5_enctype kMasterEnctype = ENCTYPE_AES256_CTS_HMAC_SHA384_192;
constexpr size_t kMasterKeyBytes = 32;
constexpr std::string_view kMasterName = "K/M";
constexpr uint32_t kMasterKvno = 1;

// In order of preference; the SHA-1 ones are for clients and services without RFC 8009.
constexpr std::array<krb5_enctype, 4> kEnctypes = {
    ENCTYPE_AES256_CTS_HMAC_SHA384_192,
    ENCTYPE_AES128_CTS_HMAC_SHA256_128,
    ENCTYPE_AES256_CTS_HMAC_SHA1_96,
    ENCTYPE_AES128_CTS_HMAC_SHA1_96,
};

/// A key block whose bytes are wiped when freed.
class KeyBlock {
 public:
    explicit KeyBlock(const KrbContext& context) : context_(context.get()) {}
    KeyBlock(const KeyBlock&) = delete;
    KeyBlock& operator=(const KeyBlock&) = delete;
    ~KeyBlock() { krb5_free_keyblock_contents(context_, &raw_); }
    krb5_keyblock* raw() { return &raw_; }
    BytesView bytes() const { return {reinterpret_cast<const char*>(raw_.contents), raw_.length}; }

 private:
    krb5_context context_;
    krb5_keyblock raw_{};
};

krb5_keyblock as_keyblock(int32_t enctype, BytesView key) {
    krb5_keyblock block{};
    block.magic = KV5M_KEYBLOCK;
    block.enctype = enctype;
    block.length = static_cast<unsigned int>(key.size());
    block.contents = reinterpret_cast<krb5_octet*>(const_cast<char*>(key.data()));
    return block;
}

Bytes little_endian(uint32_t value, int bytes) {
    Bytes out;
    for (int i = 0; i < bytes; i++) out.push_back(static_cast<char>(value >> (8 * i)));
    return out;
}

void set_tagged(wire::PrincipalRecord& record, int32_t type, Bytes value) {
    for (auto& tagged : *record.mutable_tagged()) {
        if (tagged.type() != type) continue;
        tagged.set_value(std::move(value));
        return;
    }
    auto* tagged = record.add_tagged();
    tagged->set_type(type);
    tagged->set_value(std::move(value));
}

// The times and names that kadmin would note (kdb.h, KRB5_TL_*), little-endian.
void stamp(wire::PrincipalRecord& record, WallTime now, bool new_keys) {
    const Bytes seconds = little_endian(static_cast<uint32_t>(now.unix_ms / 1000), 4);
    set_tagged(record, KRB5_TL_MOD_PRINC, seconds + "smackd" + Bytes(1, '\0'));
    set_tagged(record, KRB5_TL_MKVNO, little_endian(kMasterKvno, 2));
    if (new_keys) set_tagged(record, KRB5_TL_LAST_PWD_CHANGE, seconds);
}

uint32_t newest_kvno(const wire::PrincipalRecord& record) {
    uint32_t newest = 0;
    for (const auto& key : record.keys()) newest = std::max(newest, key.kvno());
    return newest;
}

// Removes all generations but the `keep` newest.
void drop_old_keys(wire::PrincipalRecord& record, uint32_t keep) {
    std::vector<uint32_t> kvnos;
    for (const auto& key : record.keys()) kvnos.push_back(key.kvno());
    std::ranges::sort(kvnos, std::greater<>());
    kvnos.erase(std::ranges::unique(kvnos).begin(), kvnos.end());
    const uint32_t oldest_kept = keep == 0 ? UINT32_MAX : kvnos.size() <= keep ? 0 : kvnos[keep - 1];
    auto* keys = record.mutable_keys();
    for (int i = keys->size() - 1; i >= 0; i--) {
        if (keys->Get(i).kvno() < oldest_kept) keys->DeleteSubrange(i, 1);
    }
}

Result<wire::PrincipalRecord> decode(const PrincipalRow& row) {
    wire::PrincipalRecord record;
    if (!record.ParseFromString(row.record))
        return fail(Errc::kCorrupt, "principal {}: its record is damaged", row.name);
    return record;
}

PrincipalRow encode(std::string name, const wire::PrincipalRecord& record) {
    return PrincipalRow{std::move(name), record.SerializeAsString()};
}

}  // namespace

Result<MasterKey> MasterKey::random() {
    return MasterKey{kMasterEnctype, net::crypto::random_bytes(kMasterKeyBytes)};
}

std::string MasterKey::to_text() const {
    return std::format("{} {}\n", enctype, core::to_hex(key));
}

Result<MasterKey> MasterKey::from_text(std::string_view text) {
    if (text.ends_with('\n')) text.remove_suffix(1);
    const size_t space = text.find(' ');
    MasterKey master;
    if (space == std::string_view::npos)
        return fail(Errc::kInvalid, "master key: not of the form ENCTYPE HEX");
    const auto [end, error] = std::from_chars(text.begin(), text.begin() + space, master.enctype);
    if (error != std::errc() || end != text.begin() + space || master.enctype != kMasterEnctype) {
        return fail(Errc::kUnsupported, "master key: the enctype must be {}", kMasterEnctype);
    }
    auto key = core::from_hex(text.substr(space + 1));
    if (!key || key->size() != kMasterKeyBytes)
        return fail(Errc::kInvalid, "master key: must be {} bytes in hex", kMasterKeyBytes);
    master.key = std::move(*key);
    return master;
}

struct Realm::Context {
    std::string realm;
    MasterKey master;
    KrbContext krb;

    Context(std::string name, MasterKey key, KrbContext context)
        : realm(std::move(name)), master(std::move(key)), krb(std::move(context)) {}
    Context(const Context&) = delete;
    Context& operator=(const Context&) = delete;
    ~Context() { wipe(master.key); }

    std::string full_name(std::string_view name) const { return std::format("{}@{}", name, realm); }

    Result<void> add_key(wire::PrincipalRecord& record, krb5_keyblock* key, uint32_t kvno) const {
        const krb5_keyblock by = as_keyblock(master.enctype, master.key);
        krb5_key_data data{};
        const krb5_error_code code =
            krb5_dbe_def_encrypt_key_data(krb.get(), &by, key, nullptr, static_cast<int>(kvno), &data);
        if (code != 0) return krb.fail(Errc::kIo, code, "encrypting a key");
        auto* stored = record.add_keys();
        stored->set_kvno(kvno);
        stored->set_enctype(key->enctype);
        stored->set_encrypted_key(data.key_data_contents[0], data.key_data_length[0]);
        free(data.key_data_contents[0]);
        return {};
    }

    Result<void> add_random_keys(wire::PrincipalRecord& record, uint32_t kvno) const {
        for (const krb5_enctype enctype : kEnctypes) {
            KeyBlock key(krb);
            if (const auto code = krb5_c_make_random_key(krb.get(), enctype, key.raw()); code != 0) {
                return krb.fail(Errc::kIo, code, "making a key");
            }
            TRY(add_key(record, key.raw(), kvno));
        }
        return {};
    }

    Result<void> add_password_keys(wire::PrincipalRecord& record, const std::string& name,
                                   std::string_view password, uint32_t kvno) const {
        TRY_ASSIGN(const KrbPrincipal principal, parse_principal(krb, name));
        krb5_data salt{};
        if (const auto code = krb5_principal2salt(krb.get(), principal.get(), &salt); code != 0) {
            return krb.fail(Errc::kIo, code, "salt");
        }
        const krb5_data text = as_krb5_data(password);
        Result<void> added;
        for (const krb5_enctype enctype : kEnctypes) {
            KeyBlock key(krb);
            const auto code = krb5_c_string_to_key(krb.get(), enctype, &text, &salt, key.raw());
            added =
                code != 0 ? krb.fail(Errc::kIo, code, "key from password") : add_key(record, key.raw(), kvno);
            if (!added) break;
        }
        krb5_free_data_contents(krb.get(), &salt);
        return added;
    }

    wire::PrincipalRecord blank(uint32_t attributes) const {
        wire::PrincipalRecord record;
        record.set_attributes(attributes);
        record.set_max_life_s(static_cast<int32_t>(kTicketLifeSeconds));
        record.set_max_renewable_life_s(static_cast<int32_t>(kTicketRenewableSeconds));
        return record;
    }

    Result<Bytes> decrypt(const wire::PrincipalKey& stored) const {
        const krb5_keyblock by = as_keyblock(master.enctype, master.key);
        Bytes encrypted = stored.encrypted_key();
        krb5_key_data data{};
        data.key_data_ver = 1;
        data.key_data_kvno = static_cast<uint16_t>(stored.kvno());
        data.key_data_type[0] = static_cast<krb5_int16>(stored.enctype());
        data.key_data_length[0] = static_cast<uint16_t>(encrypted.size());
        data.key_data_contents[0] = reinterpret_cast<krb5_octet*>(encrypted.data());
        KeyBlock key(krb);
        if (const auto code = krb5_dbe_def_decrypt_key_data(krb.get(), &by, &data, key.raw(), nullptr);
            code != 0) {
            return krb.fail(Errc::kCorrupt, code, "a key does not open under this realm's master key");
        }
        return Bytes(key.bytes());
    }
};

Realm::Realm(std::unique_ptr<Context> context) : context_(std::move(context)) {}
Realm::Realm(Realm&&) noexcept = default;
Realm& Realm::operator=(Realm&&) noexcept = default;
Realm::~Realm() = default;

const std::string& Realm::name() const {
    return context_->realm;
}

Result<Realm> Realm::open(std::string realm, MasterKey master) {
    TRY(core::check_realm_name(realm));
    if (master.enctype != kMasterEnctype || master.key.size() != kMasterKeyBytes) {
        return fail(Errc::kInvalid, "master key: not one of {}", enctype_name(kMasterEnctype));
    }
    TRY_ASSIGN(KrbContext krb, KrbContext::make());
    return Realm(std::make_unique<Context>(std::move(realm), std::move(master), std::move(krb)));
}

Result<std::vector<PrincipalRow>> Realm::initial_rows(WallTime now) const {
    std::vector<PrincipalRow> rows;
    // K/M holds the master key under itself: with it the KDC checks that it was given the right one.
    wire::PrincipalRecord master = context_->blank(KRB5_KDB_DISALLOW_ALL_TIX);
    krb5_keyblock key = as_keyblock(context_->master.enctype, context_->master.key);
    TRY(context_->add_key(master, &key, kMasterKvno));
    stamp(master, now, true);
    rows.push_back(encode(context_->full_name(kMasterName), master));

    wire::PrincipalRecord tgs = context_->blank(KRB5_KDB_REQUIRES_PRE_AUTH | KRB5_KDB_LOCKDOWN_KEYS);
    TRY(context_->add_random_keys(tgs, 1));
    stamp(tgs, now, true);
    rows.push_back(encode(context_->full_name("krbtgt/" + context_->realm), tgs));
    return rows;
}

Result<PrincipalRow> Realm::user(std::string_view name, std::string_view password, WallTime now) const {
    TRY(core::check_user_name(name));
    TRY(check_password_policy(name, password));
    // DISALLOW_SVR: no ticket *for* a person, or anybody with a ticket could guess that password offline.
    wire::PrincipalRecord record = context_->blank(KRB5_KDB_REQUIRES_PRE_AUTH | KRB5_KDB_DISALLOW_SVR);
    TRY(context_->add_password_keys(record, context_->full_name(name), password, 1));
    stamp(record, now, true);
    return encode(context_->full_name(name), record);
}

Result<PrincipalRow> Realm::random_key(std::string_view name, WallTime now) const {
    TRY_ASSIGN(const Principal parsed, Principal::parse(context_->full_name(name)));
    if (name == kMasterName || parsed.components.front() == "krbtgt") {
        return fail(Errc::kInvalid, "principal {}: belongs to the realm itself", name);
    }
    const bool person = parsed.components.size() == 1;
    wire::PrincipalRecord record =
        context_->blank(KRB5_KDB_REQUIRES_PRE_AUTH | (person ? KRB5_KDB_DISALLOW_SVR : 0U));
    TRY(context_->add_random_keys(record, 1));
    stamp(record, now, true);
    return encode(context_->full_name(name), record);
}

Result<PrincipalRow> Realm::change_password(const PrincipalRow& row, std::string_view password,
                                            WallTime now) const {
    TRY_ASSIGN(wire::PrincipalRecord record, decode(row));
    TRY(check_password_policy(std::string_view(row.name).substr(0, row.name.find('@')), password));
    const uint32_t kvno = newest_kvno(record) + 1;
    record.clear_keys();
    TRY(context_->add_password_keys(record, row.name, password, kvno));
    stamp(record, now, true);
    return encode(row.name, record);
}

Result<PrincipalRow> Realm::rotate_keys(const PrincipalRow& row, WallTime now, uint32_t keep_old) const {
    TRY_ASSIGN(wire::PrincipalRecord record, decode(row));
    if (row.name == context_->full_name(kMasterName))
        return fail(Errc::kInvalid, "the master key is not rotated this way");
    drop_old_keys(record, keep_old);
    // The KDC takes the first key of the newest kvno it finds: new keys go to the front.
    wire::PrincipalRecord rotated = record;
    rotated.clear_keys();
    TRY_ASSIGN(const wire::PrincipalRecord before, decode(row));
    TRY(context_->add_random_keys(rotated, newest_kvno(before) + 1));
    rotated.mutable_keys()->MergeFrom(record.keys());
    stamp(rotated, now, true);
    return encode(row.name, rotated);
}

Result<PrincipalRow> Realm::change_options(const PrincipalRow& row, const PrincipalOptions& options) const {
    TRY_ASSIGN(wire::PrincipalRecord record, decode(row));
    if (options.max_life_s == 0 || options.max_life_s > kTicketRenewableSeconds ||
        options.max_renewable_life_s > 4 * kTicketRenewableSeconds) {
        return fail(Errc::kInvalid, "principal {}: tickets live from 1 s to {} s, renewable to {} s",
                    row.name, kTicketRenewableSeconds, 4 * kTicketRenewableSeconds);
    }
    const uint32_t others = record.attributes() & ~static_cast<uint32_t>(KRB5_KDB_DISALLOW_ALL_TIX);
    record.set_attributes(others | (options.disabled ? KRB5_KDB_DISALLOW_ALL_TIX : 0U));
    record.set_expiration_s(options.expires_s);
    record.set_max_life_s(static_cast<int32_t>(options.max_life_s));
    record.set_max_renewable_life_s(static_cast<int32_t>(options.max_renewable_life_s));
    return encode(row.name, record);
}

Result<PrincipalOptions> Realm::options(const PrincipalRow& row) const {
    TRY_ASSIGN(const wire::PrincipalRecord record, decode(row));
    return PrincipalOptions{.disabled = (record.attributes() & KRB5_KDB_DISALLOW_ALL_TIX) != 0,
                            .expires_s = record.expiration_s(),
                            .max_life_s = static_cast<uint32_t>(record.max_life_s()),
                            .max_renewable_life_s = static_cast<uint32_t>(record.max_renewable_life_s())};
}

Result<uint32_t> Realm::kvno(const PrincipalRow& row) const {
    TRY_ASSIGN(const wire::PrincipalRecord record, decode(row));
    return newest_kvno(record);
}

Result<std::vector<KeytabEntry>> Realm::keys(const PrincipalRow& row) const {
    TRY_ASSIGN(const wire::PrincipalRecord record, decode(row));
    std::vector<KeytabEntry> entries;
    for (const auto& stored : record.keys()) {
        TRY_ASSIGN(Bytes key, context_->decrypt(stored));
        entries.push_back(KeytabEntry{row.name, stored.kvno(), stored.enctype(), std::move(key), 0});
    }
    return entries;
}

}  // namespace smackd::auth
