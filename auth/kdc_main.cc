#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>

#include "auth/confinement.h"
#include "auth/kdb_module.h"
#include "auth/kdc_process.h"
#include "auth/sealing.h"

extern "C" int krb5kdc_main(int argc, char** argv);

namespace smackd::auth {
namespace {

using core::Errc;
using core::fail;
using core::Result;

constexpr size_t kMasterTextBytesMax = 256;

// The key comes by a pipe: neither arguments nor environment nor a file of the child's ever hold it.
Result<MasterKey> read_master_key() {
    std::string text;
    std::array<char, kMasterTextBytesMax> buffer{};
    while (text.size() < kMasterTextBytesMax) {
        const ssize_t got = ::read(STDIN_FILENO, buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return core::fail_errno(errno, "master key from standard input");
        if (got == 0) break;
        text.append(buffer.data(), static_cast<size_t>(got));
    }
    auto key = MasterKey::from_text(text);
    wipe(text);
    explicit_bzero(buffer.data(), buffer.size());
    return key;
}

Result<void> close_standard_input() {
    const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (nothing < 0) return core::fail_errno(errno, "/dev/null");
    ::dup2(nothing, STDIN_FILENO);
    ::close(nothing);
    return {};
}

uint16_t port_of(const std::string& listen) {
    const size_t colon = listen.rfind(':');
    uint16_t port = 0;
    if (colon != std::string::npos)
        std::from_chars(listen.data() + colon + 1, listen.data() + listen.size(), port);
    return port;
}

// Only what krb5kdc needs; nothing of the parent's environment.
void set_environment(const std::string& folder) {
    ::clearenv();
    ::setenv("KRB5_CONFIG", (folder + "/krb5.conf").c_str(), 1);
    ::setenv("KRB5_KDC_PROFILE", (folder + "/kdc.conf").c_str(), 1);
    ::setenv("TZ", "UTC", 1);
}

Result<void> prepare(const KdcConfig& config) {
    TRY_ASSIGN(MasterKey master, read_master_key());
    TRY(close_standard_input());
    const size_t slash = config.realm_db.rfind('/');
    if (slash == std::string::npos) return fail(Errc::kInvalid, "kdc: --realm-db must be a full path");
    const std::string folder = config.realm_db.substr(0, slash);
    TRY_ASSIGN(const std::string seen, confine(Confinement{.root = folder.empty() ? "/" : folder,
                                                           .uid = config.uid,
                                                           .gid = config.gid,
                                                           .listen_port = port_of(config.listen)}));
    // After the uid changed, which forgets the wish.
    if (config.parent_pid != 0) TRY(die_with_parent(static_cast<int>(config.parent_pid)));
    set_environment(seen);
    set_kdb_source(
        KdbSource{.realm_db = seen + config.realm_db.substr(slash),
                  .master = std::move(master),
                  .limits = {.requests_per_source_s = config.requests_per_source_s,
                             .failures_per_source_min = config.failures_per_principal_min,
                             .failures_per_principal_min = 10 * config.failures_per_principal_min}});
    return {};
}

int refuse(const core::Error& error) {
    std::fprintf(stderr, "smackd kdc: %s\n", error.message.c_str());
    return 1;
}

}  // namespace

int kdc_main(const std::vector<std::string>& arguments) {
    auto config = parse_kdc_arguments(arguments);
    if (!config) return refuse(config.error());
    if (auto ready = prepare(*config); !ready) return refuse(ready.error());
    // -n: stay in the foreground, the supervisor waits for us.
    std::vector<std::string> words = {"krb5kdc", "-n"};
    if (config->clock_offset_s != 0)
        words.insert(words.end(), {"-T", std::to_string(config->clock_offset_s)});
    words.insert(words.end(), {"-r", config->realm});
    std::vector<char*> argv;
    argv.reserve(words.size() + 1);
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    return krb5kdc_main(static_cast<int>(words.size()), argv.data());
}

}  // namespace smackd::auth
