// A local record of refusals: hash-chained, rate-limited, bounded in size.
//
// Refusals are not replicated (anybody could fill the cluster's disk with them). Each line carries the
// SHA-256 of the line before, so that a changed, removed or reordered line shows. Cutting the end off shows
// only against a remembered head(); whoever owns the disk can rewrite the whole chain, so ship the head
// elsewhere if that matters.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/clock.h"
#include "core/disk.h"
#include "core/result.h"

namespace smackd::auth {

struct RefusalLogLimits {
    uint64_t file_bytes = 4 * 1024 * 1024;  ///< a file is closed at this size
    uint32_t files = 4;                     ///< older ones are removed
    uint32_t per_minute = 600;              ///< further refusals in a minute are counted, not written
    uint32_t field_bytes = 256;             ///< longer fields are cut
};

struct Refusal {
    std::string reason{};     ///< "policy", "ticket expired", ...
    std::string principal{};  ///< empty when unknown
    std::string source{};     ///< "127.0.0.1:4711"
    std::string door{};       ///< "api", "join", ...
    std::string request{};    ///< "POST /smack/v1/users"
    std::string message{};    ///< the error text the client got
};

/// Writes <directory>/refusals.<n>.log. One thread at a time; record() writes to the page cache and does not
/// sync.
class RefusalLog {
 public:
    /// Continues the newest file; a damaged last line (crash) is kept and the chain goes on after it, marked.
    static core::Result<std::unique_ptr<RefusalLog>> open(core::Disk& disk, std::string directory,
                                                          RefusalLogLimits limits = {});
    ~RefusalLog();

    core::Result<void> record(const Refusal& refusal, core::WallTime now);
    core::Result<void> sync();
    /// Hash of the last line, hex.
    const std::string& head() const;
    uint64_t suppressed() const;

 private:
    struct State;
    explicit RefusalLog(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

struct RefusalLogReport {
    uint64_t files = 0;
    uint64_t lines = 0;
    std::string head;     ///< hash of the last line
    std::string problem;  ///< empty: intact; else file, line and what is wrong
};
/// Reads the whole log and checks the chain across its files.
core::Result<RefusalLogReport> verify_refusal_log(core::Disk& disk, const std::string& directory);

}  // namespace smackd::auth
