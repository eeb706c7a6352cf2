// The node's data directory: whether it is there, whose it is, whether it can be written, how fast, and
// whether what is in it is whole.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cmd/smackd/config.h"
#include "cmd/smackd/data_directory.h"
#include "cmd/smackd/doctor/finding.h"
#include "core/units.h"

namespace smackd::cmd {

inline constexpr uint64_t kFreeBytesWarn = 1024ULL * 1024 * 1024;
inline constexpr uint64_t kFreeBytesFail = 64ULL * 1024 * 1024;
inline constexpr core::Duration kSyncWarn = core::milliseconds(20);   ///< of one write, the median
inline constexpr core::Duration kSyncFail = core::milliseconds(200);  ///< elections begin after 450 ms
inline constexpr size_t kSyncsTried = 21;
inline constexpr core::Duration kSyncTrialLimit = core::seconds(2);
/// Of a larger state only the log is looked at: every page would be read.
inline constexpr uint64_t kStateReadMax = 2ULL * 1024 * 1024 * 1024;

/// Who has the lock of the directory now; 0: nobody. Takes nothing and writes nothing.
int daemon_of(const DataDirectory& directory);

/// What of the data directory others need to know.
struct DataFacts {
    std::optional<NodeIdentity> identity;
    std::vector<std::string> servers;  ///< HOST:PORT of the servers of the cluster, as far as the disk knows
};

/// Of a node that is stopped its log and its state are read as a start would; meanwhile it cannot be started.
Findings examine_data(const DataDirectory& directory, int daemon_pid, DataFacts& facts);

/// Pure parts, for tests.
Finding judge_free_space(std::string_view path, uint64_t free_bytes, uint64_t free_files);
Finding judge_sync_time(core::Duration median);
Finding judge_mode(std::string_view path, unsigned mode, unsigned allowed);

}  // namespace smackd::cmd
