#include "cmd/smackd/bundle.h"

#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <format>
#include <fstream>
#include <memory>

#include "cmd/smackd/node/own_address.h"
#include "core/archive/tar_writer.h"
#include "core/compress_gzip.h"
#include "core/redact.h"
#include "net/system_clock.h"
#include "services/agent/small_file.h"
#include "storage/sqlite/vfs.h"
#include "storage/state/sql.h"

namespace smackd::cmd {
namespace {

constexpr std::string_view kCutNote = "[the beginning is left out]\n";
constexpr size_t kListingMax = 5000;

std::string one_file(const std::string& path) {
    return agent::read_small_file(path).value_or("(cannot be read)\n");
}

/// The end of a file that may be large.
std::string tail_of(const std::string& path, size_t bytes_max) {
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    if (!file) return {};
    const auto size = static_cast<size_t>(file.tellg());
    const size_t wanted = std::min(size, bytes_max);
    std::string text(wanted, '\0');
    file.seekg(static_cast<std::streamoff>(size - wanted));
    file.read(text.data(), static_cast<std::streamsize>(wanted));
    text.resize(static_cast<size_t>(file.gcount()));
    return text;
}

/// What a program prints: "journalctl" is where the log is when no file is named.
std::string output_of(const std::string& command) {
    const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), ::pclose);
    std::string text;
    char buffer[64 * 1024];
    while (pipe != nullptr && text.size() <= kBundleFileBytesMax) {
        const size_t got = ::fread(buffer, 1, sizeof buffer, pipe.get());
        if (got == 0) break;
        text.append(buffer, got);
    }
    return text;
}

core::Json value_json(const storage::state::SqlValue& value) {
    if (const auto* number = std::get_if<int64_t>(&value)) return *number;
    if (const auto* text = std::get_if<std::string>(&value)) return core::redact(*text);
    return {};
}

struct Query {
    const char* name;  // of the file
    std::string sql;
};

/// Columns by hand: rows as they are have environments, labels and secrets in them.
std::vector<Query> queries() {
    return {
        {"state/position.json",
         "SELECT epoch, revision, feature_level, time_ms, applied_index, feed_floor FROM position"},
        {"state/nodes.json",
         "SELECT node_id, machine, address, certificate_not_after_ms, software FROM nodes ORDER BY node_id"},
        {"state/machines.json", "SELECT name, roles, state, generation FROM machines ORDER BY name"},
        {"state/tasks.json",
         std::format(
             "SELECT id, app, node_id, machine, state, desired, ended, cpus_milli, memory_bytes FROM tasks "
             "ORDER BY ended, id LIMIT {}",
             kBundleTasksMax)},
        {"state/deployments.json", "SELECT count(*) AS deployments FROM deployments"},
        {"state/audit.json",
         std::format(
             "SELECT epoch, revision, time_ms, actor_kind, principal, door, summary FROM audit ORDER BY "
             "revision DESC LIMIT {}",
             kBundleAuditMax)},
    };
}

constexpr const char* kCounted[] = {"machines", "nodes",      "users",       "groups", "rules",
                                    "settings", "principals", "secrets",     "apps",   "app_versions",
                                    "tasks",    "capacities", "deployments", "audit",  "feed"};

core::Json rows_json(const storage::state::SqlResult& result) {
    core::Json rows = core::Json::array();
    for (const auto& values : result.rows) {
        core::Json row;
        for (size_t i = 0; i < values.size(); ++i) row.set(result.columns[i], value_json(values[i]));
        rows.push(std::move(row));
    }
    return rows;
}

}  // namespace

void BundleFiles::add(std::string name, std::string text) {
    if (text.size() > kBundleFileBytesMax) {
        text.erase(0, text.size() - kBundleFileBytesMax + kCutNote.size());
        text.insert(0, kCutNote);
    }
    if (bytes_ + text.size() > kBundleAllBytesMax) return miss(std::move(name), "the bundle is full");
    bytes_ += text.size();
    files_.push_back({std::move(name), std::move(text)});
}

void BundleFiles::miss(std::string name, std::string why) {
    missing_.push_back({std::move(name), std::move(why)});
}

core::Result<core::Bytes> BundleFiles::pack(const std::string& folder, core::Json about,
                                            int64_t now_s) const {
    core::Json there = core::Json::array();
    for (const BundleFile& file : files_) there.push(file.name);
    core::Json missing = core::Json::object();
    for (const BundleFile& file : missing_) missing.set(file.name, core::redact(file.text));
    about.set("files", std::move(there)).set("missing", std::move(missing));
    core::archive::TarWriter tar;
    TRY(tar.add(folder + "/about.json", about.dump_pretty() + "\n", now_s));
    for (const BundleFile& file : files_) TRY(tar.add(folder + "/" + file.name, file.text, now_s));
    return core::gzip(tar.finish());
}

void add_machine_facts(BundleFiles& files) {
    utsname name{};
    ::uname(&name);
    std::string text = std::format("{} {} {} {}\n\n", &name.sysname[0], &name.release[0], &name.version[0],
                                   &name.machine[0]);
    for (const char* path :
         {"/etc/os-release", "/proc/meminfo", "/proc/loadavg", "/proc/uptime", "/proc/cgroups",
          "/proc/self/limits", "/proc/net/dev", "/proc/net/snmp", "/proc/pressure/cpu", "/proc/pressure/io",
          "/proc/pressure/memory", "/proc/sys/net/ipv4/ip_forward", "/proc/sys/user/max_user_namespaces",
          "/proc/sys/fs/file-nr"})
        text += std::format("== {}\n{}\n", path, one_file(path));
    files.add("machine/kernel.txt", std::move(text));
    std::string addresses;
    for (const std::string& address : interface_addresses()) addresses += address + "\n";
    files.add("machine/addresses.txt", addresses + one_file("/proc/net/route"));
    files.add("machine/hosts.txt", "== /etc/hosts\n" + one_file("/etc/hosts") + "== /etc/resolv.conf\n" +
                                       one_file("/etc/resolv.conf"));
    files.add("machine/mounts.txt", mounts_without_options(one_file("/proc/self/mountinfo")));
}

std::string mounts_without_options(std::string_view mountinfo) {
    std::string out;
    while (!mountinfo.empty()) {
        std::string_view line = mountinfo.substr(0, mountinfo.find('\n'));
        mountinfo.remove_prefix(std::min(line.size() + 1, mountinfo.size()));
        std::vector<std::string_view> words;
        while (!line.empty()) {
            words.push_back(line.substr(0, line.find(' ')));
            line.remove_prefix(std::min(words.back().size() + 1, line.size()));
        }
        const auto dash = std::ranges::find(words, "-");
        if (words.size() < 5 || words.end() - dash < 3) continue;
        out += std::format("{} {} {}\n", words[4], dash[1], core::redact(dash[2]));
    }
    return out;
}

void add_listing(const DataDirectory& directory, BundleFiles& files) {
    std::string text;
    size_t count = 0;
    std::error_code error;
    const std::filesystem::recursive_directory_iterator all(
        directory.path(), std::filesystem::directory_options::skip_permission_denied, error);
    for (auto it = begin(all); it != end(all) && !error; it.increment(error)) {
        // Sandboxes and images are users' files, and many.
        const std::string relative = it->path().lexically_relative(directory.path()).string();
        if (relative == "agent/sandboxes" || relative == "agent/tasks" || relative == "images")
            it.disable_recursion_pending();
        struct stat info{};
        if (::lstat(it->path().c_str(), &info) != 0) continue;
        text += std::format("{:06o} {:>6} {:>12} {} {}\n", info.st_mode, info.st_uid, info.st_size,
                            info.st_mtime, relative);
        if (++count >= kListingMax) break;
    }
    files.add("data_directory.txt", std::move(text));
}

void add_state(const DataDirectory& directory, BundleFiles& files) {
    if (::access((directory.state() + "/state.db").c_str(), R_OK) != 0)
        return files.miss("state", "no state.db can be read here");
    const net::SystemClock clock;
    const auto vfs = storage::sqlite::Vfs::over_unix();
    const auto generation = std::make_shared<const storage::state::Generation>(1);
    storage::state::SqlReader reader({directory.state(), *vfs, generation}, clock);
    for (const Query& query : queries()) {
        auto result = reader.run(query.sql, {});
        if (!result) {
            files.miss(query.name, result.error().message);
            continue;
        }
        files.add(query.name, rows_json(*result));
    }
    core::Json counts;
    for (const char* table : kCounted) {
        auto result = reader.run(std::format("SELECT count(*) AS n FROM {}", table), {});
        if (result && !result->rows.empty()) counts.set(table, value_json(result->rows[0][0]));
    }
    files.add("state/counts.json", counts);
}

void add_log(const std::string& log_file, BundleFiles& files) {
    std::string text;
    if (!log_file.empty()) text = tail_of(log_file, kBundleFileBytesMax);
    if (log_file.empty() && ::access("/usr/bin/journalctl", X_OK) == 0)
        text = output_of(
            std::format("/usr/bin/journalctl --unit smackd --lines {} --no-pager --output short-iso-precise "
                        "--utc 2>/dev/null",
                        kBundleJournalLines));
    if (text.empty())
        return files.miss("log.txt", log_file.empty() ? "the journal has no lines of the unit smackd"
                                                      : log_file + " is empty or cannot be read");
    files.add("log.txt", core::redact(text));
    std::string alarms;
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find('\n', at), text.size());
        const std::string_view line = std::string_view(text).substr(at, end - at);
        if (line.contains("alarm")) alarms += core::redact(line) + "\n";
        at = end + 1;
    }
    files.add("alarms.txt", std::move(alarms));
}

}  // namespace smackd::cmd
