// How busy this machine is, measured every other second on a thread of its own.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <string_view>
#include <thread>
#include <vector>

#include "core/clock.h"
#include "services/api/usage_sample.h"

namespace smackd::cmd {

inline constexpr core::Duration kUsageEvery = core::seconds(2);
inline constexpr size_t kUsageKept = 300;  ///< samples: ten minutes

/// Ticks of all processors since the machine started.
struct ProcessorTicks {
    uint64_t busy = 0;
    uint64_t all = 0;
};
/// Of /proc/stat; nullopt when it has no line of all processors.
std::optional<ProcessorTicks> parse_processor_ticks(std::string_view text);

struct MemoryBytes {
    uint64_t total = 0;
    uint64_t used = 0;  ///< what is not available for programs that start now
};
/// Of /proc/meminfo; nullopt when it lacks MemTotal or MemAvailable.
std::optional<MemoryBytes> parse_memory(std::string_view text);

class NodeUsage {
 public:
    /// Measures until it is destroyed. `clock` outlives it.
    explicit NodeUsage(core::Clock& clock);
    ~NodeUsage();
    NodeUsage(const NodeUsage&) = delete;
    NodeUsage& operator=(const NodeUsage&) = delete;

    /// Samples after `since_ms` (Unix time), the oldest first. Any thread.
    std::vector<services::UsageSample> usage(int64_t since_ms) const;

 private:
    void run();
    void sample();

    core::Clock& clock_;
    mutable std::mutex mutex_;
    std::condition_variable stopping_;
    bool stopped_ = false;
    std::deque<services::UsageSample> samples_;
    std::optional<ProcessorTicks> before_;  // the thread's alone
    std::thread thread_;
};

}  // namespace smackd::cmd
