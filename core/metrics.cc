#include "core/metrics.h"

#include <format>

namespace smackd::core {
namespace {

constexpr uint64_t kFirstBucketNs = 16 * 1000;

std::string braces(std::string_view labels) {
    return labels.empty() ? std::string{} : std::format("{{{}}}", labels);
}

}  // namespace

void Histogram::observe(Duration duration) {
    const auto ns = static_cast<uint64_t>(duration.count() < 0 ? 0 : duration.count());
    size_t bucket = 0;
    uint64_t limit = kFirstBucketNs;
    while (bucket < kBuckets && ns > limit) {
        limit *= 2;
        ++bucket;
    }
    buckets_[bucket].fetch_add(1, std::memory_order_relaxed);
    count_.fetch_add(1, std::memory_order_relaxed);
    sum_ns_.fetch_add(ns, std::memory_order_relaxed);
}

MetricRegistry::Entry& MetricRegistry::add(Kind kind, std::string_view name, std::string_view help,
                                           std::string_view labels) {
    const std::scoped_lock lock(mutex_);
    entries_.push_back(std::make_unique<Entry>());
    Entry& entry = *entries_.back();
    entry.kind = kind;
    entry.name = name;
    entry.help = help;
    entry.labels = labels;
    return entry;
}

Counter& MetricRegistry::counter(std::string_view name, std::string_view help, std::string_view labels) {
    return add(Kind::kCounter, name, help, labels).counter;
}

Gauge& MetricRegistry::gauge(std::string_view name, std::string_view help, std::string_view labels) {
    return add(Kind::kGauge, name, help, labels).gauge;
}

Histogram& MetricRegistry::histogram(std::string_view name, std::string_view help, std::string_view labels) {
    return add(Kind::kHistogram, name, help, labels).histogram;
}

void MetricRegistry::render_histogram(std::string& out, const Entry& entry) {
    const std::string prefix = entry.labels.empty() ? std::string{} : entry.labels + ",";
    uint64_t cumulative = 0;
    uint64_t limit_ns = kFirstBucketNs;
    for (size_t i = 0; i < Histogram::kBuckets; ++i) {
        cumulative += entry.histogram.buckets_[i].load(std::memory_order_relaxed);
        out += std::format("{}_bucket{{{}le=\"{}\"}} {}\n", entry.name, prefix,
                           static_cast<double>(limit_ns) / 1e9, cumulative);
        limit_ns *= 2;
    }
    cumulative += entry.histogram.buckets_[Histogram::kBuckets].load(std::memory_order_relaxed);
    out += std::format("{}_bucket{{{}le=\"+Inf\"}} {}\n", entry.name, prefix, cumulative);
    out += std::format("{}_sum{} {}\n", entry.name, braces(entry.labels),
                       static_cast<double>(entry.histogram.sum_ns_.load(std::memory_order_relaxed)) / 1e9);
    out += std::format("{}_count{} {}\n", entry.name, braces(entry.labels), cumulative);
}

std::string MetricRegistry::render() const {
    const std::scoped_lock lock(mutex_);
    std::string out;
    std::string_view last_name;
    for (const auto& entry : entries_) {
        if (entry->name != last_name) {
            constexpr std::array<std::string_view, 3> kKinds = {"counter", "gauge", "histogram"};
            out += std::format("# HELP {} {}\n# TYPE {} {}\n", entry->name, entry->help, entry->name,
                               kKinds[static_cast<size_t>(entry->kind)]);
            last_name = entry->name;
        }
        if (entry->kind == Kind::kCounter) {
            out += std::format("{}{} {}\n", entry->name, braces(entry->labels), entry->counter.value());
        } else if (entry->kind == Kind::kGauge) {
            out += std::format("{}{} {}\n", entry->name, braces(entry->labels), entry->gauge.value());
        } else {
            render_histogram(out, *entry);
        }
    }
    return out;
}

}  // namespace smackd::core
