#include "auth/kdc_process.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <format>

#include "auth/secret_file.h"
#include "core/names.h"

namespace smackd::auth {
namespace {

using core::Errc;
using core::fail;
using core::fail_errno;
using core::Result;

// RFC 8009 first; the SHA-1 types for older clients and services. Weak types are not listed, so never used.
constexpr std::string_view kEnctypes =
    "aes256-cts-hmac-sha384-192 aes128-cts-hmac-sha256-128 aes256-cts-hmac-sha1-96 aes128-cts-hmac-sha1-96";

std::string folder_of(const std::string& path) {
    const size_t slash = path.rfind('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

// An unprivileged child reads by its group; nobody else does.
Result<void> give_to_group(const std::string& path, uint32_t gid, mode_t mode) {
    if (gid == 0) return {};
    if (::chown(path.c_str(), static_cast<uid_t>(-1), gid) != 0 || ::chmod(path.c_str(), mode) != 0) {
        if (errno == ENOENT) return {};  // -wal and -shm come and go
        return fail_errno(errno, path);
    }
    return {};
}

Result<uint32_t> parse_number(std::string_view name, std::string_view digits) {
    uint32_t value = 0;
    const auto [end, error] = std::from_chars(digits.begin(), digits.end(), value);
    if (digits.empty() || error != std::errc() || end != digits.end())
        return fail(Errc::kInvalid, "kdc: {} must be a number", name);
    return value;
}

Result<void> set_argument(KdcConfig& config, std::string_view name, const std::string& value) {
    if (name == "--realm") {
        config.realm = value;
    } else if (name == "--listen") {
        config.listen = value;
    } else if (name == "--realm-db") {
        config.realm_db = value;
    } else if (name == "--uid") {
        TRY_ASSIGN(config.uid, parse_number(name, value));
    } else if (name == "--gid") {
        TRY_ASSIGN(config.gid, parse_number(name, value));
    } else if (name == "--requests-per-source") {
        TRY_ASSIGN(config.requests_per_source_s, parse_number(name, value));
    } else if (name == "--failures-per-principal") {
        TRY_ASSIGN(config.failures_per_principal_min, parse_number(name, value));
    } else if (name == "--parent") {
        TRY_ASSIGN(config.parent_pid, parse_number(name, value));
    } else if (name == "--clock-offset") {
        config.clock_offset_s = static_cast<int32_t>(std::atoi(value.c_str()));
    } else {
        return fail(Errc::kInvalid, "kdc: unknown option {}", name);
    }
    return {};
}

}  // namespace

std::string kdc_krb5_conf(const KdcConfig& config) {
    return std::format(
        "# Written by smackd for its KDC process; changes are lost.\n"
        "[libdefaults]\n"
        "    default_realm = {0}\n"
        "    permitted_enctypes = {1}\n"
        "    dns_lookup_kdc = false\n"
        "    dns_lookup_realm = false\n"
        "    dns_canonicalize_hostname = false\n"
        "    rdns = false\n"
        "    spake_preauth_groups = edwards25519\n",
        config.realm, kEnctypes);
}

std::string kdc_conf(const KdcConfig& config) {
    return std::format(
        "# Written by smackd for its KDC process; changes are lost.\n"
        "[kdcdefaults]\n"
        "    kdc_listen = {1}\n"
        "    kdc_tcp_listen = {1}\n"
        "    spake_preauth_indicator = spake\n"
        "[realms]\n"
        "    {0} = {{\n"
        "        database_module = smack\n"
        "        max_life = {2}s\n"
        "        max_renewable_life = {3}s\n"
        "        disable_pac = true\n"
        "    }}\n"
        "[dbmodules]\n"
        "    smack = {{\n"
        "        db_library = smack\n"
        "    }}\n"
        "[logging]\n"
        "    kdc = STDERR\n",
        config.realm, config.listen, kTicketLifeSeconds, kTicketRenewableSeconds);
}

std::string client_krb5_conf(std::string_view realm, const std::vector<std::string>& kdcs) {
    std::string lines;
    for (const std::string& kdc : kdcs) lines += std::format("        kdc = {}\n", kdc);
    // Names are taken as typed: a name that DNS rewrites would not be the one in the server's keytab.
    return std::format(
        "# Written by smackd.\n"
        "[libdefaults]\n"
        "    default_realm = {0}\n"
        "    permitted_enctypes = {1}\n"
        "    dns_lookup_kdc = false\n"
        "    dns_lookup_realm = false\n"
        "    dns_canonicalize_hostname = false\n"
        "    rdns = false\n"
        "    udp_preference_limit = 1\n"
        "    spake_preauth_groups = edwards25519\n"
        "[realms]\n"
        "    {0} = {{\n"
        "{2}"
        "    }}\n",
        realm, kEnctypes, lines);
}

Result<void> prepare_kdc_files(const KdcConfig& config) {
    TRY(core::check_realm_name(config.realm));
    const std::string folder = folder_of(config.realm_db);
    TRY(write_secret_file(folder + "/krb5.conf", kdc_krb5_conf(config)));
    TRY(write_secret_file(folder + "/kdc.conf", kdc_conf(config)));
    TRY(give_to_group(folder, config.gid, 0750));
    for (const char* name : {"/krb5.conf", "/kdc.conf"}) TRY(give_to_group(folder + name, config.gid, 0640));
    // SQLite gives owner and mode of the database to the -wal and -shm it makes later.
    for (const char* suffix : {"", "-wal", "-shm"})
        TRY(give_to_group(config.realm_db + suffix, config.gid, 0640));
    return {};
}

std::vector<std::string> kdc_arguments(const KdcConfig& config) {
    std::vector<std::string> arguments = {"--realm",     config.realm, "--listen",
                                          config.listen, "--realm-db", config.realm_db};
    const auto number = [&](const char* name, int64_t value) {
        arguments.emplace_back(name);
        arguments.push_back(std::to_string(value));
    };
    number("--uid", config.uid);
    number("--gid", config.gid);
    number("--requests-per-source", config.requests_per_source_s);
    number("--failures-per-principal", config.failures_per_principal_min);
    number("--parent", config.parent_pid);
    if (config.clock_offset_s != 0) number("--clock-offset", config.clock_offset_s);
    return arguments;
}

Result<KdcConfig> parse_kdc_arguments(const std::vector<std::string>& arguments) {
    KdcConfig config;
    if (arguments.size() % 2 != 0) return fail(Errc::kInvalid, "kdc: an option lacks its value");
    for (size_t i = 0; i < arguments.size(); i += 2)
        TRY(set_argument(config, arguments[i], arguments[i + 1]));
    TRY(core::check_realm_name(config.realm));
    if (config.listen.empty() || config.realm_db.empty())
        return fail(Errc::kInvalid, "kdc: --listen and --realm-db are needed");
    return config;
}

void set_kerberos_environment(const std::string& krb5_config_path) {
    // Single-threaded by contract: setenv is not safe beside getenv.
    if (krb5_config_path.empty()) {
        ::unsetenv("KRB5_CONFIG");
    } else {
        ::setenv("KRB5_CONFIG", krb5_config_path.c_str(), 1);
    }
    // Trace files would hold session keys' fingerprints and names; a stray variable must not switch them on.
    ::unsetenv("KRB5_TRACE");
    // Tells the acceptor which keytab and replay cache to use; ours are named explicitly.
    ::unsetenv("KRB5_KTNAME");
    ::unsetenv("KRB5RCACHENAME");
}

}  // namespace smackd::auth
