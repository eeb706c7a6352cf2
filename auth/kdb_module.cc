#include "auth/kdb_module.h"

#include <arpa/inet.h>
#include <kdb.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>

#include "auth/krb5_handles.h"
#include "core/assert.h"
#include "core/wire/realm.pb.h"
#include "net/system_clock.h"
#include "storage/state/realm_reader.h"

// krb5kdc is one thread and calls back through C tables, so the module's state
// is one object of the process.
namespace smackd::auth {
namespace {

constexpr int kExitDatabase = 3;
constexpr krb5_kvno kMasterKvno = 1;

struct Module {
    KdbSource source;
    KdcThrottle throttle;
    std::unique_ptr<storage::sqlite::Vfs> vfs = storage::sqlite::Vfs::over_unix();
    std::optional<storage::state::RealmReader> reader;
    std::string current_source;  ///< address of the request being worked on

    explicit Module(KdbSource from) : source(std::move(from)), throttle(source.limits) {}
};

std::unique_ptr<Module>& module() {
    static std::unique_ptr<Module> instance;
    return instance;
}

core::Instant now() {
    return net::SystemClock().now();
}

// The supervisor starts us again, with the files' rights set anew; serving
// wrong answers would be worse.
[[noreturn]] void give_up(const core::Error& error) {
    std::fprintf(stderr, "krb5kdc: realm database: %s\n", error.to_string().c_str());
    std::fflush(stderr);
    _exit(kExitDatabase);
}

// Everything in an entry is malloc'ed: krb5_db_free_principal frees it.
krb5_octet* copy_bytes(std::string_view bytes) {
    auto* copy = static_cast<krb5_octet*>(std::malloc(bytes.size() + 1));
    if (copy != nullptr) std::memcpy(copy, bytes.data(), bytes.size());
    return copy;
}

bool fill_key(const wire::PrincipalKey& from, krb5_key_data& to) {
    to.key_data_ver = from.salt_type() != 0 || !from.salt().empty() ? 2 : 1;
    to.key_data_kvno = static_cast<krb5_ui_2>(from.kvno());
    to.key_data_type[0] = static_cast<krb5_int16>(from.enctype());
    to.key_data_length[0] = static_cast<krb5_ui_2>(from.encrypted_key().size());
    to.key_data_contents[0] = copy_bytes(from.encrypted_key());
    if (to.key_data_ver == 2) {
        to.key_data_type[1] = static_cast<krb5_int16>(from.salt_type());
        to.key_data_length[1] = static_cast<krb5_ui_2>(from.salt().size());
        to.key_data_contents[1] = copy_bytes(from.salt());
    }
    return to.key_data_contents[0] != nullptr && (to.key_data_ver == 1 || to.key_data_contents[1] != nullptr);
}

bool fill_keys(const wire::PrincipalRecord& record, krb5_db_entry& entry) {
    const auto count = static_cast<size_t>(record.keys_size());
    entry.key_data = static_cast<krb5_key_data*>(std::calloc(count + 1, sizeof(krb5_key_data)));
    if (entry.key_data == nullptr) return false;
    entry.n_key_data = static_cast<krb5_int16>(count);
    for (size_t i = 0; i < count; i++) {
        if (!fill_key(record.keys(static_cast<int>(i)), entry.key_data[i])) return false;
    }
    return true;
}

bool fill_tagged(const wire::PrincipalRecord& record, krb5_db_entry& entry) {
    krb5_tl_data** next = &entry.tl_data;
    for (const wire::TaggedData& tagged : record.tagged()) {
        auto* data = static_cast<krb5_tl_data*>(std::calloc(1, sizeof(krb5_tl_data)));
        if (data == nullptr) return false;
        *next = data;
        next = &data->tl_data_next;
        entry.n_tl_data++;
        data->tl_data_type = static_cast<krb5_int16>(tagged.type());
        data->tl_data_length = static_cast<krb5_ui_2>(tagged.value().size());
        data->tl_data_contents = copy_bytes(tagged.value());
        if (data->tl_data_contents == nullptr) return false;
    }
    return true;
}

krb5_error_code make_entry(krb5_context context, krb5_const_principal name, std::string_view bytes,
                           krb5_db_entry** out) {
    wire::PrincipalRecord record;
    if (!record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
        return KRB5_KDB_TRUNCATED_RECORD;
    auto* entry = static_cast<krb5_db_entry*>(std::calloc(1, sizeof(krb5_db_entry)));
    if (entry == nullptr) return ENOMEM;
    entry->magic = static_cast<krb5_magic>(KRB5_KDB_MAGIC_NUMBER);
    entry->len = KRB5_KDB_V1_BASE_LENGTH;
    entry->attributes = static_cast<krb5_flags>(record.attributes());
    entry->max_life = record.max_life_s();
    entry->max_renewable_life = record.max_renewable_life_s();
    entry->expiration = static_cast<krb5_timestamp>(record.expiration_s());
    entry->pw_expiration = static_cast<krb5_timestamp>(record.password_expiration_s());
    krb5_error_code code = krb5_copy_principal(context, name, &entry->princ);
    if (code == 0 && !(fill_keys(record, *entry) && fill_tagged(record, *entry))) code = ENOMEM;
    if (code != 0) {
        krb5_db_free_principal(context, entry);
        return code;
    }
    *out = entry;
    return 0;
}

std::string name_of(krb5_context context, krb5_const_principal principal) {
    char* text = nullptr;
    if (principal == nullptr || krb5_unparse_name(context, principal, &text) != 0) return {};
    std::string copy(text);
    krb5_free_unparsed_name(context, text);
    return copy;
}

// ---- the table's functions
// ---------------------------------------------------------------------------------

krb5_error_code init_library() {
    return 0;
}
krb5_error_code fini_library() {
    return 0;
}

krb5_error_code init_module(krb5_context, char*, char**, int) {
    SMACK_ASSERT(module() != nullptr);
    module()->reader.emplace(*module()->vfs, module()->source.realm_db);
    return 0;
}

krb5_error_code fini_module(krb5_context) {
    if (module()) module()->reader.reset();
    return 0;
}

krb5_error_code get_principal(krb5_context context, krb5_const_principal search_for, unsigned int,
                              krb5_db_entry** out) {
    *out = nullptr;
    const std::string name = name_of(context, search_for);
    if (name.empty()) return KRB5_KDB_NOENTRY;
    auto record = module()->reader->get(name);
    // The server's process has the file for a moment: clients try again or ask the next KDC.
    if (!record && record.error().code == core::Errc::kBusy) return KRB5KDC_ERR_SVC_UNAVAILABLE;
    if (!record) give_up(record.error());
    if (!record->has_value()) return KRB5_KDB_NOENTRY;
    return make_entry(context, search_for, **record, out);
}

krb5_error_code fetch_master_key(krb5_context, krb5_principal, krb5_keyblock* key, krb5_kvno* kvno, char*) {
    const MasterKey& master = module()->source.master;
    if (key->enctype != ENCTYPE_UNKNOWN && key->enctype != master.enctype) return KRB5_KDB_BADSTORED_MKEY;
    key->magic = KV5M_KEYBLOCK;
    key->enctype = master.enctype;
    key->length = static_cast<unsigned int>(master.key.size());
    key->contents = copy_bytes(master.key);
    if (key->contents == nullptr) return ENOMEM;
    if (kvno != nullptr) *kvno = kMasterKvno;
    return 0;
}

krb5_error_code check_policy_as(krb5_context context, krb5_kdc_req* request, krb5_db_entry*, krb5_db_entry*,
                                krb5_timestamp, const char** status, krb5_pa_data***) {
    const Module& state = *module();
    if (state.throttle.may_try(state.current_source, name_of(context, request->client), now())) return 0;
    *status = "TOO MANY WRONG KEYS IN THE LAST MINUTE";
    return KRB5KDC_ERR_POLICY;
}

void audit_as_req(krb5_context context, krb5_kdc_req* request, const krb5_address*, const krb5_address*,
                  krb5_db_entry*, krb5_db_entry*, krb5_timestamp, krb5_error_code error_code) {
    if (error_code != KRB5KDC_ERR_PREAUTH_FAILED && error_code != KRB5KRB_AP_ERR_BAD_INTEGRITY) return;
    Module& state = *module();
    state.throttle.failed(state.current_source, name_of(context, request->client), now());
}

// IPv4 by address, IPv6 by /64: one host has a whole /64 to choose from.
std::string source_key(const krb5_address& address) {
    char text[INET6_ADDRSTRLEN] = "";
    if (address.addrtype == ADDRTYPE_INET && address.length == 4) {
        inet_ntop(AF_INET, address.contents, text, sizeof text);
    } else if (address.addrtype == ADDRTYPE_INET6 && address.length == 16) {
        std::array<unsigned char, 16> prefix{};
        std::memcpy(prefix.data(), address.contents, 8);
        inet_ntop(AF_INET6, prefix.data(), text, sizeof text);
    }
    return text;
}

kdb_vftabl make_table() {
    kdb_vftabl table{};
    table.maj_ver = KRB5_KDB_DAL_MAJOR_VERSION;
    table.min_ver = 0;
    table.init_library = init_library;
    table.fini_library = fini_library;
    table.init_module = init_module;
    table.fini_module = fini_module;
    table.get_principal = get_principal;
    table.fetch_master_key = fetch_master_key;
    table.check_policy_as = check_policy_as;
    table.audit_as_req = audit_as_req;
    // No put, delete, iterate: changes are commands of smackd, never the KDC's.
    return table;
}

}  // namespace

void set_kdb_source(KdbSource source) {
    module() = std::make_unique<Module>(std::move(source));
}

}  // namespace smackd::auth

extern "C" {

kdb_vftabl krb5_smack_kdb_function_table = smackd::auth::make_table();

/// Called by krb5kdc for each packet before it is looked at
/// (third_party/patches/krb5). Only AS requests, which anybody can send, are
/// limited: they start with [APPLICATION 10].
int smack_kdc_admit(const krb5_address* remote, const krb5_data* packet, int is_tcp) {
    constexpr unsigned char kAsRequestTag = 0x6a;
    (void)is_tcp;
    auto& state = smackd::auth::module();
    if (!state || remote == nullptr || packet == nullptr || packet->length == 0) return 1;
    state->current_source = smackd::auth::source_key(*remote);
    if (static_cast<unsigned char>(packet->data[0]) != kAsRequestTag) return 1;
    return state->throttle.admit(state->current_source, smackd::auth::now()) ? 1 : 0;
}

}  // extern "C"
