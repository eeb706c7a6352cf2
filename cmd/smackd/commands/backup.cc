#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <format>

#include "cmd/smackd/bootstrap.h"
#include "cmd/smackd/commands/commands.h"
#include "cmd/smackd/commands/requests.h"
#include "cmd/smackd/config.h"
#include "cmd/smackd/restore.h"
#include "net/posix_disk.h"
#include "services/backup/backup_extract.h"

namespace smackd::cmd {
namespace {

core::Result<std::string> absolute(const std::string& path) {
    std::error_code error;
    const auto full = std::filesystem::absolute(path, error);
    if (error) return core::fail_errno(error.value(), std::format("finding {}", path));
    return full.lexically_normal().string();
}

/// A new file of mode 0600 that appears under its name once it is complete and synced.
class NewFile {
 public:
    static core::Result<NewFile> make(const std::string& path) {
        if (::access(path.c_str(), F_OK) == 0)
            return core::fail(core::Errc::kConflict, "{} exists; remove it or write elsewhere", path);
        NewFile file(path);
        file.descriptor_ = ::open(file.unfinished().c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (file.descriptor_ < 0) return core::fail_errno(errno, std::format("making {}", file.unfinished()));
        return file;
    }
    NewFile(NewFile&& other) noexcept
        : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}
    NewFile& operator=(NewFile&&) = delete;
    ~NewFile() {
        if (descriptor_ < 0) return;
        ::close(descriptor_);
        ::unlink(unfinished().c_str());
    }
    core::Result<void> write(core::BytesView bytes) {
        while (!bytes.empty()) {
            const ssize_t wrote = ::write(descriptor_, bytes.data(), bytes.size());
            if (wrote < 0 && errno == EINTR) continue;
            if (wrote < 0) return core::fail_errno(errno, std::format("writing {}", unfinished()));
            bytes.remove_prefix(static_cast<size_t>(wrote));
        }
        return {};
    }
    core::Result<void> finish() {
        if (::fsync(descriptor_) != 0 || ::rename(unfinished().c_str(), path_.c_str()) != 0)
            return core::fail_errno(errno, std::format("finishing {}", path_));
        ::close(std::exchange(descriptor_, -1));
        const std::string folder = std::filesystem::path(path_).parent_path().string();
        return net::PosixDisk().sync_directory(folder);
    }

 private:
    explicit NewFile(std::string path) : path_(std::move(path)) {}
    std::string unfinished() const { return path_ + ".new"; }
    std::string path_;
    int descriptor_ = -1;
};

core::Result<void> backup_to_output(Context& context) {
    if (context.output.json())
        return context.usage("--json does not go with FILE -: the backup is the output");
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    auto sent = client->download("/smack/v1/backup", [](core::BytesView bytes) {
        print(bytes);
        return core::Result<void>();
    });
    if (!sent) return core::pass(std::move(sent));
    return {};
}

core::Result<void> backup(Context& context) {
    const std::string name = context.arguments.value("FILE", "-");
    if (name == "-") {
        if (::isatty(STDOUT_FILENO) == 1)
            return context.usage("a backup is no text: name a FILE, or send the output to a file or pipe");
        return backup_to_output(context);
    }
    TRY_ASSIGN(const std::string path, absolute(name));
    TRY_ASSIGN(NewFile file, NewFile::make(path));
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    uint64_t bytes = 0;
    auto sent = client->download("/smack/v1/backup", [&](core::BytesView piece) {
        bytes += piece.size();
        return file.write(piece);
    });
    if (!sent) return core::pass(std::move(sent));
    TRY(file.finish());
    const std::string revision(sent->get("X-Smack-Revision"));
    context.output.say(std::format("Wrote {} ({}, revision {}). Only the recovery key opens it.", path,
                                   core::format_bytes(bytes), revision));
    core::Json document;
    document.set("file", path).set("bytes", bytes).set("revision", revision);
    context.output.document(document);
    return {};
}

core::Result<void> backup_list(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    TRY_ASSIGN(const core::Json answer, client->get("/smack/v1/backups"));
    if (context.output.json()) {
        context.output.document(answer);
        return {};
    }
    core::Json rows = core::Json::array();
    for (core::Json row : answer["backups"].as_array()) {
        row.set("time", date_text(row["time_ms"].as_integer()));
        row.set("size", core::format_bytes(static_cast<uint64_t>(row["bytes"].as_integer())));
        rows.push(std::move(row));
    }
    context.output.say(std::format("Backups of the schedule on {}, in {}:", cell_text(answer["server"]),
                                   cell_text(answer["directory"])));
    context.output.table("backups", rows, {{"NAME", "name"}, {"TIME (UTC)", "time"}, {"SIZE", "size"}},
                         "None here. The leader makes them: see 'smackd status'.");
    return {};
}

core::Json header_json(const services::BackupReader& reader) {
    const wire::BackupHeader& header = reader.header();
    core::Json json;
    json.set("cluster", header.cluster_id()).set("made", date_text(header.time_ms()));
    json.set("software", header.software()).set("feature_level", header.feature_level());
    json.set("bytes", reader.bytes());
    return json;
}

/// A private folder for the databases of a backup under examination; removed with what is in it.
class Workplace {
 public:
    static core::Result<Workplace> make() {
        const char* base = ::getenv("TMPDIR");
        std::string path = std::format("{}/smackd-verify-XXXXXX", base == nullptr ? "/tmp" : base);
        if (::mkdtemp(path.data()) == nullptr) return core::fail_errno(errno, std::format("making {}", path));
        return Workplace(std::move(path));
    }
    Workplace(Workplace&& other) noexcept : path_(std::exchange(other.path_, {})) {}
    Workplace& operator=(Workplace&&) = delete;
    ~Workplace() {
        std::error_code error;
        if (!path_.empty()) std::filesystem::remove_all(path_, error);
    }
    const std::string& path() const { return path_; }

 private:
    explicit Workplace(std::string path) : path_(std::move(path)) {}
    std::string path_;
};

core::Result<void> backup_verify(Context& context) {
    net::PosixDisk disk;
    const std::string path = context.arguments.value("FILE");
    TRY_ASSIGN(auto reader, services::BackupReader::open(disk, path));
    core::Json shown = header_json(reader);
    const bool with_key = context.arguments.has(kRecoveryKeyFile.name) ||
                          (has_terminal() && !context.arguments.has("--header-only"));
    if (with_key) {
        TRY_ASSIGN(const auto recovery, read_recovery_key(context));
        TRY_ASSIGN(const auto cluster_key, reader.unwrap(recovery));
        TRY_ASSIGN(const Workplace place, Workplace::make());
        const auto vfs = storage::sqlite::Vfs::over_unix();
        auto manifest = services::extract_backup(disk, *vfs, reader, cluster_key, place.path());
        if (!manifest) return core::pass(std::move(manifest), path);
        shown.set("revision", core::Revision{manifest->epoch(), manifest->revision()}.to_string());
    }
    shown.set("contents", with_key ? "whole: every chunk opens, the databases are sound" : "not checked");
    context.output.record(shown, {{"cluster", "cluster"},
                                  {"made (UTC)", "made"},
                                  {"by smackd", "software"},
                                  {"feature level", "feature_level"},
                                  {"bytes", "bytes"},
                                  {"revision", "revision"},
                                  {"contents", "contents"}});
    if (!with_key)
        context.output.say("Only the header was read: without the recovery key nothing else can be checked.");
    return {};
}

void tell_restored(Context& context, const services::BackupReader& reader, const RestorePlan& plan,
                   const Restored& restored) {
    const wire::BackupManifest& manifest = restored.manifest;
    const std::string from = core::Revision{manifest.epoch(), manifest.revision()}.to_string();
    core::Json document;
    document.set("directory", plan.directory).set("backup_revision", from);
    document.set("revision", restored.revision.to_string()).set("made", date_text(reader.header().time_ms()));
    document.set("node_id", restored.identity.node_id).set("node", restored.identity.name);
    document.set("cluster", restored.identity.cluster_id);
    context.output.document(document);
    context.output.say(
        std::format("Restored cluster {} ({}) of {} UTC into {}.\n"
                    "It was at revision {}; this is revision {}, epoch {}: what was changed after the backup "
                    "is lost, and\n"
                    "programs that watch are told to list again. Everybody signs in anew; passwords and "
                    "keytabs are as they were.",
                    restored.identity.cluster_name, restored.identity.cluster_id.substr(0, 12),
                    date_text(reader.header().time_ms()), plan.directory, from, restored.revision.to_string(),
                    restored.revision.epoch));
    if (!restored.identity.embedded_realm)
        context.output.say(
            std::format("The realm {} is the site's: this machine needs its keytab (kerberos.keytab).",
                        restored.identity.realm));
    context.output.say(std::format(
        "\nNext:\n"
        "  1. No server of the old cluster may run any more: they know nothing of the new epoch.\n"
        "  2. smackd start --data-dir {} --node-name {} --advertise {}\n"
        "  3. smackd status, then add servers anew; the old ones join with empty data directories.",
        plan.directory, restored.identity.name, plan.cluster_address));
}

core::Result<void> restore(Context& context) {
    Config config;
    TRY(load_config(context.arguments.value("--config", kConfigPath), context.arguments.has("--config"),
                    config));
    if (!context.arguments.has("--data-dir"))
        return context.usage("--data-dir DIR is missing: an empty folder for the restored server");
    RestorePlan plan;
    TRY_ASSIGN(plan.directory, absolute(context.arguments.value("--data-dir")));
    while (plan.directory.size() > 1 && plan.directory.ends_with('/')) plan.directory.pop_back();
    plan.node_name = context.arguments.value("--node-name", config.node_name);
    if (plan.node_name.empty()) plan.node_name = host_name();
    plan.cluster_address = context.arguments.value("--advertise", config.advertise_address);
    if (plan.cluster_address.empty())
        plan.cluster_address = std::format("{}:{}", plan.node_name, port_of(config.cluster_address));
    plan.http_names = config.host_names;
    plan.admin = context.arguments.value("--admin", kDefaultAdmin);
    // What needs no key is told before it is asked for.
    TRY(check_empty(plan.directory));
    net::PosixDisk disk;
    TRY_ASSIGN(auto reader, services::BackupReader::open(disk, context.arguments.value("FILE")));
    TRY(services::check_backup_level(reader.header()));
    TRY_ASSIGN(const auto recovery, read_recovery_key(context));
    TRY_ASSIGN(const Restored restored, restore_backup(reader, recovery, plan));
    tell_restored(context, reader, plan, restored);
    return {};
}

}  // namespace

std::vector<Command> backup_commands() {
    return {
        {"backup",
         "writes a backup of the whole state, sealed to the recovery key",
         "smackd backup /mnt/safe/smackd.backup",
         {{"FILE", "a new file; - or nothing is standard output", false}},
         with_server_options(),
         backup},
        {"backup list",
         "lists the backups that the schedule left on a server",
         "smackd backup list",
         {},
         with_server_options(),
         backup_list},
        {"backup verify",
         "checks a backup file: all of it with the recovery key, else its header",
         "smackd backup verify /mnt/safe/smackd.backup",
         {{"FILE", "the backup"}},
         {kRecoveryKeyFile, {"--header-only", "", "do not ask for the recovery key"}},
         backup_verify},
        {"restore",
         "makes a cluster of one server out of a backup",
         "smackd restore /mnt/safe/smackd.backup --data-dir /var/lib/smackd",
         {{"FILE", "the backup"}},
         {{"--data-dir", "DIR", "an empty or absent folder (needed)"},
          kRecoveryKeyFile,
          {"--config", "FILE", "configuration (default /etc/smackd/smackd.toml)"},
          {"--node-name", "NAME", "this machine's name (default: the host's)"},
          {"--advertise", "HOST:PORT", "what other servers will dial (default NAME and the cluster port)"},
          {"--admin", "NAME", "the user whose keytab root finds in DIR (default admin)"}},
         restore},
    };
}

}  // namespace smackd::cmd
