// Counters, gauges and histograms, rendered in the Prometheus text format 0.0.4.
//
// Instruments are made once at start and live as long as their registry; updating one is a relaxed atomic
// and may happen on any thread.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "core/units.h"

namespace smackd::core {

class Counter {
 public:
    void add(uint64_t amount = 1) { value_.fetch_add(amount, std::memory_order_relaxed); }
    uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
    std::atomic<uint64_t> value_{0};
};

class Gauge {
 public:
    void set(int64_t value) { value_.store(value, std::memory_order_relaxed); }
    void add(int64_t amount) { value_.fetch_add(amount, std::memory_order_relaxed); }
    int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
    std::atomic<int64_t> value_{0};
};

/// Durations in buckets of powers of two from 16 us to 8.4 s; longer ones count in +Inf.
class Histogram {
 public:
    static constexpr size_t kBuckets = 20;
    void observe(Duration duration);
    uint64_t count() const { return count_.load(std::memory_order_relaxed); }

 private:
    friend class MetricRegistry;
    std::array<std::atomic<uint64_t>, kBuckets + 1> buckets_{};
    std::atomic<uint64_t> count_{0};
    std::atomic<uint64_t> sum_ns_{0};
};

class MetricRegistry {
 public:
    /// `name` matches [a-z_][a-z0-9_]*, a counter's ends in _total, a histogram's in _seconds; each name
    /// once. `labels` is empty or of the form `key="value"`.
    Counter& counter(std::string_view name, std::string_view help, std::string_view labels = {});
    Gauge& gauge(std::string_view name, std::string_view help, std::string_view labels = {});
    Histogram& histogram(std::string_view name, std::string_view help, std::string_view labels = {});

    /// All instruments in the order they were made, as Prometheus text.
    std::string render() const;

 private:
    enum class Kind : uint8_t { kCounter, kGauge, kHistogram };
    struct Entry {
        Kind kind;
        std::string name;
        std::string help;
        std::string labels;
        Counter counter;
        Gauge gauge;
        Histogram histogram;
    };
    Entry& add(Kind kind, std::string_view name, std::string_view help, std::string_view labels);
    static void render_histogram(std::string& out, const Entry& entry);

    mutable std::mutex mutex_;
    std::vector<std::unique_ptr<Entry>> entries_;
};

}  // namespace smackd::core
