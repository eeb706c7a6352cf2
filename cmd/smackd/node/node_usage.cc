#include "cmd/smackd/node/node_usage.h"

#include <pthread.h>

#include <algorithm>
#include <charconv>
#include <utility>
#include <vector>

#include "cmd/smackd/data_directory.h"
#include "core/units.h"

namespace smackd::cmd {
namespace {

/// The numbers of a line, blanks between them.
std::vector<uint64_t> numbers_of(std::string_view line) {
    std::vector<uint64_t> numbers;
    const char* at = line.data();
    const char* end = at + line.size();
    while (at != end) {
        uint64_t number = 0;
        const auto [next, error] = std::from_chars(at, end, number);
        if (error == std::errc()) numbers.push_back(number);
        at = error == std::errc() ? next : at + 1;
    }
    return numbers;
}

/// What follows `name` on its line; nullopt when no line begins so.
std::optional<std::string_view> line_of(std::string_view text, std::string_view name) {
    while (!text.empty()) {
        const std::string_view line = text.substr(0, text.find('\n'));
        if (line.starts_with(name)) return line.substr(name.size());
        text.remove_prefix(std::min(text.size(), line.size() + 1));
    }
    return std::nullopt;
}

std::optional<uint64_t> kibibytes(std::string_view text, std::string_view name) {
    const auto line = line_of(text, name);
    if (!line) return std::nullopt;
    const auto numbers = numbers_of(*line);
    return numbers.empty() ? std::nullopt : std::optional(numbers.front() * core::kKiB);
}

}  // namespace

std::optional<ProcessorTicks> parse_processor_ticks(std::string_view text) {
    const auto line = line_of(text, "cpu ");
    if (!line) return std::nullopt;
    // user nice system idle iowait irq softirq steal; guest time, which follows, is in user's already.
    const auto numbers = numbers_of(*line);
    constexpr size_t kIdle = 3;
    constexpr size_t kWaiting = 4;
    constexpr size_t kCounted = 8;
    if (numbers.size() <= kWaiting) return std::nullopt;
    ProcessorTicks ticks;
    for (size_t i = 0; i < std::min(numbers.size(), kCounted); ++i) {
        ticks.all += numbers[i];
        if (i != kIdle && i != kWaiting) ticks.busy += numbers[i];
    }
    return ticks;
}

std::optional<MemoryBytes> parse_memory(std::string_view text) {
    const auto total = kibibytes(text, "MemTotal:");
    const auto available = kibibytes(text, "MemAvailable:");
    if (!total || !available || *available > *total) return std::nullopt;
    return MemoryBytes{*total, *total - *available};
}

NodeUsage::NodeUsage(core::Clock& clock) : clock_(clock), thread_([this] { run(); }) {}

NodeUsage::~NodeUsage() {
    {
        const std::lock_guard lock(mutex_);
        stopped_ = true;
    }
    stopping_.notify_all();
    thread_.join();
}

std::vector<services::UsageSample> NodeUsage::usage(int64_t since_ms) const {
    const std::lock_guard lock(mutex_);
    std::vector<services::UsageSample> newer;
    for (const services::UsageSample& sample : samples_) {
        if (sample.time_ms > since_ms) newer.push_back(sample);
    }
    return newer;
}

void NodeUsage::run() {
    ::pthread_setname_np(::pthread_self(), "usage");
    std::unique_lock lock(mutex_);
    while (!stopped_) {
        lock.unlock();
        sample();
        lock.lock();
        stopping_.wait_for(lock, kUsageEvery, [this] { return stopped_; });
    }
}

void NodeUsage::sample() {
    const auto stat = read_small_file("/proc/stat");
    const auto meminfo = read_small_file("/proc/meminfo");
    if (!stat || !meminfo) return;
    const auto ticks = parse_processor_ticks(*stat);
    const auto memory = parse_memory(*meminfo);
    if (!ticks || !memory) return;
    const std::optional<ProcessorTicks> before = std::exchange(before_, ticks);
    if (!before || ticks->all <= before->all) return;  // a share takes two readings
    services::UsageSample sample;
    sample.time_ms = clock_.wall().unix_ms;
    sample.cpu_share = static_cast<double>(ticks->busy - std::min(ticks->busy, before->busy)) /
                       static_cast<double>(ticks->all - before->all);
    sample.memory_used_bytes = memory->used;
    sample.memory_total_bytes = memory->total;
    const std::lock_guard lock(mutex_);
    samples_.push_back(sample);
    if (samples_.size() > kUsageKept) samples_.pop_front();
}

}  // namespace smackd::cmd
