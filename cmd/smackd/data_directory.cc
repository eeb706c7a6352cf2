#include "cmd/smackd/data_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <format>

#include "cmd/smackd/config.h"
#include "core/bytes.h"
#include "core/json.h"
#include "net/crypto/hash.h"

namespace smackd::cmd {
namespace {

inline constexpr size_t kSmallFileBytesMax = 1024 * 1024;
inline constexpr size_t kInitialVotersMax = 7;

core::Result<void> make_one(const std::string& path, mode_t mode) {
    // The mode is meant whatever the umask.
    if (::mkdir(path.c_str(), mode) == 0 && ::chmod(path.c_str(), mode) == 0) return {};
    struct stat info{};
    if (errno == EEXIST && ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return {};
    if (errno == EACCES || errno == EPERM) {
        return core::fail(core::Errc::kDenied, "cannot make {}: permission denied; run smackd as root", path);
    }
    return core::fail_errno(errno, std::format("making the directory {}", path));
}

core::Result<void> make_with_parents(const std::string& path, mode_t mode) {
    for (size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) {
        TRY(make_one(path.substr(0, slash), 0755));
    }
    return make_one(path, mode);
}

core::Result<void> write_and_sync(int descriptor, std::string_view bytes, const std::string& path) {
    while (!bytes.empty()) {
        ssize_t wrote = ::write(descriptor, bytes.data(), bytes.size());
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) return core::fail_errno(errno, std::format("writing {}", path));
        bytes.remove_prefix(static_cast<size_t>(wrote));
    }
    if (::fsync(descriptor) != 0) return core::fail_errno(errno, std::format("syncing {}", path));
    return {};
}

core::Result<void> sync_folder_of(const std::string& path) {
    std::string folder = path.substr(0, path.rfind('/'));
    int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return core::fail_errno(errno, std::format("opening {}", folder));
    int failed = ::fsync(descriptor) == 0 ? 0 : errno;
    ::close(descriptor);
    if (failed != 0) return core::fail_errno(failed, std::format("syncing {}", folder));
    return {};
}

core::Result<InitialVoter> parse_voter(std::string_view line) {
    size_t first = line.find(' ');
    size_t second = first == std::string_view::npos ? first : line.find(' ', first + 1);
    InitialVoter voter;
    if (second != std::string_view::npos) {
        auto [stop, error] = std::from_chars(line.data(), line.data() + first, voter.node_id);
        voter.name = line.substr(first + 1, second - first - 1);
        voter.address = line.substr(second + 1);
        if (error != std::errc{} || stop != line.data() + first) voter.node_id = 0;
    }
    if (voter.node_id == 0 || voter.name.empty()) {
        return core::fail(core::Errc::kInvalid, "'{}' is not of the form 'ID NAME HOST:PORT'", line);
    }
    TRY(check_address("address", voter.address));
    return voter;
}

}  // namespace

std::string DataDirectory::mark() const {
    return core::to_hex(net::crypto::sha256(path_)).substr(0, 12);
}

core::Result<void> DataDirectory::make() const {
    if (!path_.starts_with("/"))
        return core::fail(core::Errc::kInvalid, "the data directory must be an absolute path");
    TRY(make_with_parents(path_, 0711));
    for (const std::string& folder : {raft(), state(), cluster(), realm(), keytabs(), audit()}) {
        TRY(make_one(folder, 0700));
    }
    return make_one(run(), 0755);
}

core::Result<DirectoryLock> DirectoryLock::take(const DataDirectory& directory) {
    std::string path = directory.lock();
    int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (descriptor < 0) return core::fail_errno(errno, std::format("opening {}", path));
    if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
        char holder[32] = {};
        ssize_t got = ::pread(descriptor, holder, sizeof holder - 1, 0);
        ::close(descriptor);
        return core::fail(
            core::Errc::kConflict,
            "{} is in use by another smackd (process {}); stop that one or choose another --data-dir",
            directory.path(), got > 0 ? holder : "unknown");
    }
    DirectoryLock lock(descriptor);
    std::string pid = std::to_string(::getpid());
    if (::ftruncate(descriptor, 0) != 0 || ::pwrite(descriptor, pid.data(), pid.size(), 0) < 0) {
        return core::fail_errno(errno, std::format("writing {}", path));
    }
    return lock;
}

DirectoryLock::~DirectoryLock() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

core::Result<std::string> read_small_file(const std::string& path) {
    int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return core::fail_errno(errno, std::format("opening {}", path));
    std::string text;
    char buffer[16 * 1024];
    ssize_t got = 0;
    while ((got = ::read(descriptor, buffer, sizeof buffer)) > 0 && text.size() <= kSmallFileBytesMax) {
        text.append(buffer, static_cast<size_t>(got));
    }
    int failed = got < 0 ? errno : 0;
    ::close(descriptor);
    if (failed != 0) return core::fail_errno(failed, std::format("reading {}", path));
    if (text.size() > kSmallFileBytesMax) {
        return core::fail(core::Errc::kInvalid, "{} is longer than {} bytes", path, kSmallFileBytesMax);
    }
    return text;
}

core::Result<void> replace_file(const std::string& path, std::string_view bytes, unsigned mode) {
    std::string temporary = path + ".new";
    ::unlink(temporary.c_str());
    int descriptor =
        ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, static_cast<mode_t>(mode));
    if (descriptor < 0) return core::fail_errno(errno, std::format("making {}", temporary));
    ::fchmod(descriptor, static_cast<mode_t>(mode));  // whatever the umask
    core::Result<void> wrote = write_and_sync(descriptor, bytes, temporary);
    ::close(descriptor);
    TRY(std::move(wrote));
    if (::rename(temporary.c_str(), path.c_str()) != 0)
        return core::fail_errno(errno, std::format("renaming to {}", path));
    return sync_folder_of(path);
}

core::Result<NodeIdentity> read_identity(const DataDirectory& directory) {
    TRY_ASSIGN(std::string text, read_small_file(directory.identity()));
    auto parsed = core::Json::parse(text);
    if (!parsed) return core::pass(std::move(parsed), directory.identity());
    const core::Json& json = *parsed;
    NodeIdentity identity;
    identity.node_id = static_cast<uint64_t>(json["node_id"].as_integer());
    identity.name = json["name"].as_string();
    identity.cluster_name = json["cluster_name"].as_string();
    identity.cluster_id = json["cluster_id"].as_string();
    identity.realm = json["realm"].as_string();
    identity.embedded_realm = json["embedded_realm"].as_bool();
    // Not in files of a bootstrap.
    if (const core::Json* role = json.find("role")) identity.role = role->as_string();
    if (const core::Json* generation = json.find("generation"))
        identity.generation = static_cast<uint64_t>(generation->as_integer());
    if (const core::Json* epoch = json.find("epoch"))
        identity.epoch = static_cast<uint64_t>(epoch->as_integer());
    if (const core::Json* address = json.find("address")) identity.address = address->as_string();
    if (identity.node_id == 0 || identity.name.empty() || identity.realm.empty()) {
        return core::fail(core::Errc::kCorrupt, "{} lacks node_id, name or realm", directory.identity());
    }
    return identity;
}

core::Result<void> write_identity(const DataDirectory& directory, const NodeIdentity& identity) {
    core::Json json;
    json.set("node_id", identity.node_id)
        .set("name", identity.name)
        .set("cluster_name", identity.cluster_name);
    json.set("cluster_id", identity.cluster_id).set("realm", identity.realm);
    json.set("embedded_realm", identity.embedded_realm);
    if (identity.epoch != 0) {
        json.set("role", identity.role).set("generation", identity.generation).set("epoch", identity.epoch);
        json.set("address", identity.address);
    }
    return replace_file(directory.identity(), json.dump_pretty() + "\n", 0644);
}

core::Result<std::vector<InitialVoter>> read_initial_voters(const DataDirectory& directory) {
    TRY_ASSIGN(std::string text, read_small_file(directory.initial_voters()));
    std::vector<InitialVoter> voters;
    for (size_t at = 0; at < text.size();) {
        size_t end = std::min(text.find('\n', at), text.size());
        std::string_view line = std::string_view(text).substr(at, end - at);
        at = end + 1;
        if (line.empty()) continue;
        auto voter = parse_voter(line);
        if (!voter) return core::pass(std::move(voter), directory.initial_voters());
        voters.push_back(std::move(*voter));
    }
    if (voters.empty() || voters.size() > kInitialVotersMax) {
        return core::fail(core::Errc::kInvalid, "{} must name 1 to {} voters", directory.initial_voters(),
                          kInitialVotersMax);
    }
    return voters;
}

core::Result<void> write_initial_voters(const DataDirectory& directory,
                                        const std::vector<InitialVoter>& voters) {
    std::string text;
    for (const InitialVoter& voter : voters) {
        text += std::format("{} {} {}\n", voter.node_id, voter.name, voter.address);
    }
    return replace_file(directory.initial_voters(), text, 0600);
}

}  // namespace smackd::cmd
