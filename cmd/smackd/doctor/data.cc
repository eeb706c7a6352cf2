#include "cmd/smackd/doctor/data.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <format>

#include "cmd/smackd/bootstrap.h"
#include "cmd/smackd/join.h"
#include "cmd/smackd/node/kdc.h"
#include "core/metrics.h"
#include "net/posix_disk.h"
#include "net/system_clock.h"
#include "storage/feed/hub.h"
#include "storage/replica.h"
#include "storage/state/state_machine.h"

namespace smackd::cmd {
namespace {

constexpr uint64_t kFreeFilesFail = 1000;

std::string start_fix(const DataDirectory& directory) {
    return directory.path() == Config{}.data_dir
               ? "smackd realm init EXAMPLE.ORG"
               : std::format("smackd realm init EXAMPLE.ORG --data-dir {}", directory.path());
}

Finding no_node(const DataDirectory& directory) {
    return failed(
        "node", std::format("{} holds no node", directory.path()),
        "make the first node of a cluster, let this machine join one (smackd machine add NAME --bundle "
        "on a server), or name the right folder by --data-dir",
        start_fix(directory));
}

Finding check_identity(const DataDirectory& directory, DataFacts& facts) {
    auto identity = read_identity(directory);
    if (!identity && identity.error().code == core::Errc::kNotFound) return no_node(directory);
    if (!identity)
        return failed(
            "node", identity.error().message,
            "this file says who the node is: put it back from a copy, or take the machine out and let it "
            "join anew",
            "smackd machine remove NAME   # on another server, then let it join again");
    facts.identity = *identity;
    return fine("node", std::format("{} is node {} of cluster {} ({})", identity->name, identity->node_id,
                                    identity->cluster_name, identity->role));
}

Finding check_free_space(const std::string& path) {
    struct statvfs info{};
    if (::statvfs(path.c_str(), &info) != 0)
        return failed("disk", std::format("cannot look at {}: {}", path, std::strerror(errno)),
                      "look at the mount", std::format("findmnt -T {}", path));
    // Some file systems (btrfs) have no table of files and say 0 of 0.
    const uint64_t files = info.f_files == 0 ? kFreeFilesFail : info.f_favail;
    return judge_free_space(path, static_cast<uint64_t>(info.f_bavail) * info.f_frsize, files);
}

/// The median of a few writes as the log makes them.
core::Result<core::Duration> time_syncs(int descriptor) {
    net::SystemClock clock;
    std::vector<core::Duration> times;
    const std::string block(4096, 'x');
    const core::Instant end = clock.now() + kSyncTrialLimit;
    while (times.size() < kSyncsTried && clock.now() < end) {
        const core::Instant began = clock.now();
        const auto at = static_cast<off_t>(times.size() * block.size());
        if (::pwrite(descriptor, block.data(), block.size(), at) < 0 || ::fdatasync(descriptor) != 0)
            return core::fail_errno(errno, "writing a trial file");
        times.push_back(clock.now() - began);
    }
    std::ranges::sort(times);
    return times[times.size() / 2];
}

Finding check_writing(const DataDirectory& directory) {
    const std::string path = directory.path() + "/.doctor";
    const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    const int error = descriptor < 0 ? errno : 0;
    core::Result<core::Duration> median =
        descriptor < 0 ? core::Result<core::Duration>(core::fail_errno(error, "making a trial file"))
                       : time_syncs(descriptor);
    if (descriptor >= 0) {
        ::close(descriptor);
        ::unlink(path.c_str());
    }
    if (median) return judge_sync_time(*median);
    const std::string message =
        std::format("{} cannot be written: {}", directory.path(), median.error().message);
    if (error == EROFS)
        return failed(
            "writing", message,
            "the file system is mounted read-only, or became so after an error of the disk",
            std::format("dmesg | tail; mount -o remount,rw $(findmnt -nT {} -o TARGET)", directory.path()));
    if (error == EACCES || error == EPERM)
        return failed("writing", message, "run the doctor and smackd as root", "sudo smackd doctor");
    return failed("writing", message, "make room; a full disk stops all changes (reads go on)",
                  std::format("du -xh --max-depth=2 {} | sort -h | tail", directory.path()));
}

void check_modes(const DataDirectory& directory, Findings& out) {
    const size_t before = out.size();
    Findings wrong;
    for (const char* name :
         {"/server.key", "/cluster.key", "/ca.key", "/token.key", "/realm.key", "/node.key"}) {
        const std::string path = directory.cluster() + name;
        struct stat info{};
        if (::stat(path.c_str(), &info) != 0) continue;
        Finding finding = judge_mode(path, info.st_mode & 0777U, 0600);
        if (finding.verdict != Verdict::kOk) wrong.push_back(std::move(finding));
        if (info.st_uid != 0 && ::geteuid() == 0)
            wrong.push_back(failed("permissions",
                                   std::format("{} belongs to user {}, who can read it", path, info.st_uid),
                                   "give it to root; whoever read it meanwhile has the key",
                                   std::format("chown root: {}", path)));
    }
    std::ranges::move(wrong, std::back_inserter(out));
    if (out.size() == before) out.push_back(fine("permissions", "key files are private"));
}

// The KDC's own user passes through to realm.db (auth/kdc_process.h), and images' users to their sandboxes.
void check_way_in(const DataDirectory& directory, Findings& out) {
    if (::geteuid() != 0) return;
    for (size_t slash = 1; slash != std::string::npos;) {
        slash = directory.path().find('/', slash + 1);
        const std::string folder = directory.path().substr(0, slash);
        struct stat info{};
        if (::stat(folder.c_str(), &info) != 0 || (info.st_mode & S_IXOTH) != 0) continue;
        out.push_back(
            failed("permissions",
                   std::format("{} has mode {:04o}: the KDC and tasks, which are other users, cannot pass",
                               folder, info.st_mode & 07777U),
                   "let others pass (x), without letting them read", std::format("chmod o+x {}", folder)));
    }
}

Finding check_lock(const DataDirectory& directory, int daemon_pid) {
    if (daemon_pid != 0) return fine("daemon", std::format("runs as process {}", daemon_pid));
    const bool ran = ::access(directory.listeners().c_str(), F_OK) == 0;
    return warned("daemon", ran ? "does not run; the lock of its last run keeps nobody out" : "does not run",
                  "start it, once nothing below fails", "systemctl start smackd");
}

// ---- what is stored, of a node that is stopped

struct Stored {
    net::PosixDisk disk;
    std::unique_ptr<storage::sqlite::Vfs> vfs = storage::sqlite::Vfs::over_unix();
    core::MetricRegistry metrics;
    storage::feed::Hub hub{storage::feed::HubLimits{}, metrics};
};

void check_log(const DataDirectory& directory, const NodeIdentity& identity, DataFacts& facts,
               Findings& out) {
    Stored stored;
    storage::ReplicaOptions options;
    options.self = core::NodeId{identity.node_id};
    options.directory = directory.raft();
    auto report = storage::Replica::survey(options, stored.disk);
    if (!report && report.error().code == core::Errc::kNotFound) {
        out.push_back(fine("log", "is empty: the node has not been started yet"));
        return;
    }
    const std::string recover = std::format("smackd recover --data-dir {}", directory.path());
    if (!report) {
        out.push_back(failed(
            "log", report.error().message,
            "with other servers: let this one join anew; alone: recover accepts what is lost", recover));
        return;
    }
    for (const storage::Server& server : report->servers) facts.servers.push_back(server.address);
    if (report->lost.empty())
        return out.push_back(fine("log", std::format("is whole, up to entry {}", report->last.value)));
    const bool alone = report->servers.size() <= 1;
    for (const std::string& lost : report->lost)
        out.push_back(failed("log", "damaged: " + lost,
                             alone
                                 ? "look at the disk; recover says what is lost and goes on without it"
                                 : "nothing while most servers are well: start it, and the others refill it",
                             alone ? recover : "systemctl start smackd"));
}

Finding check_state(const DataDirectory& directory) {
    Stored stored;
    struct stat info{};
    if (::stat((directory.state() + "/state.db").c_str(), &info) != 0)
        return fine("state", "is empty: it comes from the log");
    if (static_cast<uint64_t>(info.st_size) > kStateReadMax)
        return fine("state", std::format("is not read: it has {}",
                                         core::format_bytes(static_cast<uint64_t>(info.st_size))));
    storage::state::StateOptions options{directory.state(), stored.disk,    *stored.vfs,
                                         stored.hub,        stored.metrics, {}};
    options.set_damaged_aside = false;
    auto state = storage::state::StateMachine::open(std::move(options));
    if (state)
        return fine("state", std::format("is whole, at revision {} and feature level {}",
                                         (*state)->revision().to_string(), (*state)->feature_level()));
    if (state.error().code == core::Errc::kUnsupported)
        return failed("state", state.error().message,
                      "install the smackd that it was used with, or a newer one",
                      install_command("smackd", "smackd"));
    if (state.error().code == core::Errc::kCorrupt)
        return warned(
            "state", state.error().message,
            "look at the disk; the next start sets the file aside and makes it again out of snapshot and log",
            "systemctl start smackd");
    return failed("state", state.error().message, "look at the disk", "dmesg | tail");
}

/// Keeps a daemon from starting while its files are read; -1 when one has started meanwhile.
int hold(const DataDirectory& directory) {
    const int descriptor = ::open(directory.lock().c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0 || ::flock(descriptor, LOCK_EX | LOCK_NB) == 0) return descriptor;
    ::close(descriptor);
    return -1;
}

void check_stored(const DataDirectory& directory, const NodeIdentity& identity, DataFacts& facts,
                  Findings& out) {
    if (identity.role != "server") return;
    const int held = hold(directory);
    check_log(directory, identity, facts, out);
    out.push_back(check_state(directory));
    if (held >= 0) ::close(held);
}

// ---- keys and certificates

Finding check_secrets(const DataDirectory& directory) {
    auto secrets = read_cluster_secrets(directory);
    if (secrets) return fine("keys", "the node's keys open what is sealed under them");
    return failed("keys", secrets.error().message,
                  "these files belong together: put back what was changed, or let this machine join anew",
                  std::format("ls -l {}", directory.cluster()));
}

Finding judge_certificate(const DataDirectory& directory, const NodeIdentity& identity, bool keytab) {
    auto own = read_node_identity(directory);
    const bool server = identity.role == "server";
    if (!own && server) return fine("certificate", "is made at the start");
    if (!own)
        return failed("certificate", own.error().message, "let the machine join again, which keeps its node",
                      "smackd join --seed NAME");
    auto ca = read_ca(directory);
    const core::WallTime now = net::SystemClock().wall();
    core::Result<void> good = ca ? net::crypto::verify_certificate(own->certificate_pem, *ca, now)
                                 : core::Result<void>(core::pass(std::move(ca)));
    const auto left = core::milliseconds(own->not_after_ms - now.unix_ms);
    if (good) return fine("certificate", std::format("is good for {} more", core::format_duration(left)));
    if (own->not_before_ms > now.unix_ms)
        return failed("certificate", good.error().message, "set this machine's clock, which is behind",
                      "timedatectl set-ntp true && chronyc makestep");
    const bool expired = left.count() < 0;
    if (expired && (server || keytab))
        return warned("certificate",
                      good.error().message + (server ? "; this server makes a new one at its start"
                                                     : "; the keytab renews it at the start"),
                      "start the node", "systemctl start smackd");
    return failed(
        "certificate", good.error().message,
        expired ? "without its keytab the node must join again"
                : "this folder has files of two clusters: let the machine join anew in an empty one",
        expired ? "smackd join --seed NAME --keytab FILE" : std::format("ls -l {}", directory.cluster()));
}

}  // namespace

int daemon_of(const DataDirectory& directory) {
    const int descriptor = ::open(directory.lock().c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return 0;
    int pid = 0;
    if (::flock(descriptor, LOCK_SH | LOCK_NB) != 0) {
        char text[32] = {};
        const ssize_t got = ::pread(descriptor, text, sizeof text - 1, 0);
        if (got > 0) std::from_chars(text, text + got, pid);
    }
    ::close(descriptor);
    return pid;
}

Findings examine_data(const DataDirectory& directory, int daemon_pid, DataFacts& facts) {
    Findings out;
    if (::access(directory.path().c_str(), F_OK) != 0) return {no_node(directory)};
    out.push_back(check_free_space(directory.path()));
    out.push_back(check_writing(directory));
    out.push_back(check_identity(directory, facts));
    if (!facts.identity) return out;
    out.push_back(check_lock(directory, daemon_pid));
    check_modes(directory, out);
    check_way_in(directory, out);
    if (facts.identity->role == "server") out.push_back(check_secrets(directory));
    const bool keytab = ::access(node_keytab_path(directory).c_str(), R_OK) == 0;
    out.push_back(judge_certificate(directory, *facts.identity, keytab));
    for (const auth::AdmittedNode& server : read_join_members(directory))
        facts.servers.push_back(server.address);
    if (daemon_pid == 0) check_stored(directory, *facts.identity, facts, out);
    return out;
}

Finding judge_free_space(std::string_view path, uint64_t free_bytes, uint64_t free_files) {
    std::string message = std::format("{} free at {}", core::format_bytes(free_bytes), path);
    const std::string advice = "make room: a full disk stops all changes (reads go on)";
    const std::string fix = std::format("du -xh --max-depth=2 {} | sort -h | tail", path);
    if (free_files < kFreeFilesFail)
        return failed("disk", std::format("only {} more files can be made at {}", free_files, path), advice,
                      fix);
    if (free_bytes >= kFreeBytesWarn) return fine("disk", std::move(message));
    if (free_bytes < kFreeBytesFail) return failed("disk", std::move(message), advice, fix);
    return warned("disk", std::move(message), advice, fix);
}

Finding judge_sync_time(core::Duration median) {
    const std::string message = std::format("a write is on the disk after {}", core::format_duration(median));
    if (median < kSyncWarn) return fine("writing", message);
    const std::string advice =
        "each change waits for that: put the data directory on a faster disk, or find who keeps this one "
        "busy";
    if (median < kSyncFail) return warned("writing", message, advice, "iostat -x 1 5");
    return failed("writing", message + "; elections begin after 450 ms", advice, "iostat -x 1 5");
}

Finding judge_mode(std::string_view path, unsigned mode, unsigned allowed) {
    if ((mode & ~allowed) == 0) return fine("permissions", std::format("{} is {:04o}", path, mode));
    return failed("permissions", std::format("{} has mode {:04o}: others can read it", path, mode),
                  "make it private; whoever read it meanwhile has the key",
                  std::format("chmod {:04o} {}", allowed, path));
}

}  // namespace smackd::cmd
