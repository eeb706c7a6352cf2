#include "cmd/smackd/doctor.h"

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <time.h>

#include <cstdlib>
#include <format>

#include "auth/identity.h"
#include "auth/keytab.h"
#include "cmd/smackd/bootstrap.h"
#include "cmd/smackd/client/api_client.h"
#include "net/scope.h"
#include "net/socket.h"
#include "net/system_clock.h"
#include "services/agent/kernel.h"

namespace smackd::cmd {
namespace {

Finding fail_of(std::string check, const core::Error& error, std::string advice) {
    return {std::move(check), Verdict::kFail, error.message, std::move(advice)};
}

Finding check_kernel_clock() {
    timex state{};
    int answer = ::adjtimex(&state);
    if (answer == TIME_ERROR || (state.status & STA_UNSYNC) != 0) {
        return {"time service", Verdict::kWarn, "the kernel says that this clock is not synchronised",
                "install chrony or systemd-timesyncd: Kerberos refuses clocks that differ by 5 minutes"};
    }
    return {"time service", Verdict::kOk, "this clock is synchronised", {}};
}

Finding check_kernel() {
    if (auto fit = agent::check_kernel(); !fit)
        return {"kernel", Verdict::kWarn, fit.error().message,
                "install a newer kernel (on Debian: linux-image-amd64), or run no tasks here (tasks.run = "
                "false)"};
    return {"kernel", Verdict::kOk, "this kernel can run tasks", {}};
}

Finding check_free_space(const std::string& path) {
    struct statvfs info{};
    if (::statvfs(path.c_str(), &info) != 0)
        return {"disk", Verdict::kFail, std::format("cannot look at {}", path), {}};
    return judge_free_space(path, static_cast<uint64_t>(info.f_bavail) * info.f_frsize);
}

void check_modes(const DataDirectory& directory, std::vector<Finding>& out) {
    for (const char* name : {"/server.key", "/cluster.key", "/ca.key", "/token.key", "/node.key"}) {
        std::string path = directory.cluster() + name;
        struct stat info{};
        if (::stat(path.c_str(), &info) != 0) continue;
        Finding finding = judge_mode(path, info.st_mode & 0777U, 0600);
        if (finding.verdict != Verdict::kOk) out.push_back(std::move(finding));
    }
    if (out.empty() || out.back().check != "permissions") {
        out.push_back({"permissions", Verdict::kOk, "key files are private", {}});
    }
}

Finding check_keytab(const std::string& path, const std::string& host, const std::string& realm) {
    auto keytab = auth::Keytab::read(path);
    if (!keytab)
        return fail_of("keytab", keytab.error(), "put the node's keytab there, readable by root only");
    auto has = keytab->require(auth::http_principal(host, realm), path);
    if (!has)
        return fail_of("keytab", has.error(), "add the principal in your KDC and export it to this keytab");
    return {"keytab", Verdict::kOk, std::format("{}: {}", path, keytab->describe()), {}};
}

void check_node(const DataDirectory& directory, std::vector<Finding>& out) {
    out.push_back(check_free_space(directory.path()));
    auto identity = read_identity(directory);
    if (!identity) {
        out.push_back(
            fail_of("node", identity.error(),
                    "make it by 'smackd start --bootstrap', or check --data-dir (and that you are root)"));
        return;
    }
    out.push_back({"node",
                   Verdict::kOk,
                   std::format("{} is node {} of cluster {}", identity->name, identity->node_id,
                               identity->cluster_name),
                   {}});
    check_modes(directory, out);
    Config config;
    auto loaded = load_config(std::string(kConfigPath), false, config);
    if (!loaded) out.push_back(fail_of("configuration", loaded.error(), "correct the file"));
    std::string keytab = identity->embedded_realm ? node_keytab_path(directory) : config.keytab;
    out.push_back(check_keytab(keytab, identity->name, identity->realm));
}

Finding check_port(std::string_view what, const std::string& address) {
    auto to = net::parse_host_port(address);
    if (!to) return fail_of(std::string(what), to.error(), {});
    net::Loop loop("doctor");
    auto stream = net::block_on(loop, net::connect_host(loop, *to, core::seconds(3)));
    if (!stream) {
        return fail_of(
            std::string(what), stream.error(),
            std::format("is smackd running, and does a firewall stand between here and {}?", address));
    }
    net::block_on(loop, (*stream)->close());
    return {std::string(what), Verdict::kOk, std::format("{} accepts connections", address), {}};
}

void check_addresses(const DataDirectory& directory, std::vector<Finding>& out) {
    auto text = read_small_file(directory.listeners());
    auto listeners = text ? core::Json::parse(*text) : core::Result<core::Json>(core::pass(std::move(text)));
    if (!listeners) return;
    for (const auto& [name, address] : listeners->as_object()) {
        out.push_back(check_port(std::format("port {}", name), address.as_string()));
    }
}

void check_server(const Arguments& arguments, std::vector<Finding>& out) {
    auto client = ApiClient::open(arguments);
    if (!client) return out.push_back(fail_of("server", client.error(), "start smackd, or set SMACKD_URL"));
    auto credential = find_credential((*client)->server());
    if (credential) {
        out.push_back({"ticket", Verdict::kOk, std::format("you are {}", (*credential)->principal()), {}});
    } else {
        out.push_back(fail_of("ticket", credential.error(), "check the KDC, your keytab and your clock"));
    }
    auto status = (*client)->get("/smack/v1/status");
    if (!status) {
        out.push_back(fail_of("server", status.error(), {}));
        return;
    }
    std::string leader = cell_text((*status)["leader"]["machine"]);
    bool led = !(*status)["leader"].is_null();
    out.push_back({"server", led ? Verdict::kOk : Verdict::kFail,
                   led ? std::format("{} answers; the leader is {}", (*client)->server().to_string(), leader)
                       : "there is no leader",
                   led ? "" : "are most servers of the cluster up, and can they reach each other?"});
    for (const core::Json& alarm : (*status)["alarms"].as_array()) {
        out.push_back({"alarm", Verdict::kFail, cell_text(alarm["message"]), {}});
    }
    tm parts{};
    if (::strptime((*client)->server_date().c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts) != nullptr) {
        out.push_back(judge_clock(net::SystemClock().wall().unix_ms, ::timegm(&parts) * 1000));
    }
}

}  // namespace

std::string_view verdict_name(Verdict verdict) {
    if (verdict == Verdict::kOk) return "ok";
    return verdict == Verdict::kWarn ? "warn" : "fail";
}

Finding judge_free_space(std::string_view path, uint64_t free_bytes) {
    std::string message = std::format("{} free at {}", core::format_bytes(free_bytes), path);
    if (free_bytes >= kFreeBytesWarn) return {"disk", Verdict::kOk, std::move(message), {}};
    return {"disk", free_bytes < kFreeBytesFail ? Verdict::kFail : Verdict::kWarn, std::move(message),
            "make room: a full disk stops all changes (reads go on)"};
}

Finding judge_clock(int64_t our_ms, int64_t server_ms) {
    int64_t skew = std::abs(our_ms - server_ms);
    std::string message = std::format("differs from the server's by {} ms", skew);
    if (skew < kClockSkewWarnMs) return {"clock", Verdict::kOk, std::move(message), {}};
    return {"clock", skew < kClockSkewFailMs ? Verdict::kWarn : Verdict::kFail, std::move(message),
            "set both clocks by NTP: Kerberos refuses clocks that differ by 5 minutes"};
}

Finding judge_mode(std::string_view path, unsigned mode, unsigned allowed) {
    if ((mode & ~allowed) == 0)
        return {"permissions", Verdict::kOk, std::format("{} is {:04o}", path, mode), {}};
    return {"permissions", Verdict::kFail, std::format("{} has mode {:04o}", path, mode),
            std::format("chmod {:04o} {}; whoever read it meanwhile has the key", allowed, path)};
}

std::vector<Finding> examine(const Arguments& arguments) {
    std::vector<Finding> findings{check_kernel_clock(), check_kernel()};
    const char* url = std::getenv("SMACKD_URL");
    bool remote = arguments.has("--url") || (url != nullptr && *url != '\0' && !arguments.has("--data-dir"));
    if (!remote) {
        DataDirectory directory(arguments.value("--data-dir", Config{}.data_dir));
        check_node(directory, findings);
        check_addresses(directory, findings);
    }
    check_server(arguments, findings);
    return findings;
}

}  // namespace smackd::cmd
