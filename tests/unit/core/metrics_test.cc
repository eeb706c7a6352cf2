#include "core/metrics.h"

#include <catch2/catch_test_macros.hpp>

namespace smackd::core {
namespace {

TEST_CASE("the text format") {
    MetricRegistry registry;
    Counter& requests = registry.counter("requests_total", "Requests", R"(door="api")");
    registry.counter("requests_total", "Requests", R"(door="ui")").add(2);
    Gauge& open = registry.gauge("open", "Open ones");
    requests.add();
    requests.add(4);
    open.set(7);
    open.add(-10);
    CHECK(registry.render() ==
          "# HELP requests_total Requests\n# TYPE requests_total counter\n"
          "requests_total{door=\"api\"} 5\nrequests_total{door=\"ui\"} 2\n"
          "# HELP open Open ones\n# TYPE open gauge\nopen -3\n");
}

TEST_CASE("histograms count cumulatively and never lose a value") {
    MetricRegistry registry;
    Histogram& took = registry.histogram("took_seconds", "Time");
    took.observe(Duration(0));
    took.observe(std::chrono::microseconds(16));
    took.observe(std::chrono::microseconds(17));
    took.observe(std::chrono::hours(1));
    took.observe(Duration(-5));
    CHECK(took.count() == 5);
    const std::string text = registry.render();
    CHECK(text.contains("took_seconds_bucket{le=\"1.6e-05\"} 3\n"));
    CHECK(text.contains("took_seconds_bucket{le=\"3.2e-05\"} 4\n"));
    CHECK(text.contains("took_seconds_bucket{le=\"8.388608\"} 4\n"));
    CHECK(text.contains("took_seconds_bucket{le=\"+Inf\"} 5\n"));
    CHECK(text.contains("took_seconds_count 5\n"));
    CHECK(text.contains("took_seconds_sum 3600.000033\n"));
}

}  // namespace
}  // namespace smackd::core
