// What a support bundle is made of: facts about this machine, its node and, where one answers, its server,
// and no secret.
//
// Every file is chosen by name and every column by hand; no environment, label, command line or log of a task
// is among them. What is free text (logs, findings, the audit) goes through core::redact besides.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cmd/smackd/data_directory.h"
#include "core/bytes.h"
#include "core/json.h"
#include "core/result.h"

namespace smackd::cmd {

inline constexpr size_t kBundleFileBytesMax = 8 * 1024 * 1024;  ///< of one file; of logs the end is kept
inline constexpr size_t kBundleAllBytesMax = 64 * 1024 * 1024;  ///< of all files before they are compressed
inline constexpr size_t kBundleTasksMax = 2000;
inline constexpr size_t kBundleAuditMax = 200;
inline constexpr size_t kBundleJournalLines = 50'000;

struct BundleFile {
    std::string name;
    std::string text;
};

/// Holds the limits; what does not fit is cut or left out, and told in about.json.
class BundleFiles {
 public:
    /// Keeps the last kBundleFileBytesMax bytes.
    void add(std::string name, std::string text);
    void add(std::string name, const core::Json& json) { add(std::move(name), json.dump_pretty() + "\n"); }
    /// Why something is not there.
    void miss(std::string name, std::string why);
    const std::vector<BundleFile>& files() const { return files_; }
    /// Everything as tar.gz below a folder of that name, about.json first.
    core::Result<core::Bytes> pack(const std::string& folder, core::Json about, int64_t now_s) const;

 private:
    std::vector<BundleFile> files_;
    std::vector<BundleFile> missing_;
    size_t bytes_ = 0;
};

/// Kernel, distribution, memory, limits, addresses, mounts (without their options).
void add_machine_facts(BundleFiles& files);
/// Names, sizes, modes and times of the files of the data directory.
void add_listing(const DataDirectory& directory, BundleFiles& files);
/// Counts, position, nodes, tasks and the end of the audit, out of the database on this disk, with the daemon
/// or without.
void add_state(const DataDirectory& directory, BundleFiles& files);
/// The end of the daemon's log: of log.file, else of the journal.
void add_log(const std::string& log_file, BundleFiles& files);

/// "MOUNTPOINT TYPE SOURCE" of each line of /proc/self/mountinfo; options may hold passwords.
std::string mounts_without_options(std::string_view mountinfo);

}  // namespace smackd::cmd
