// What will become of an app: decide() played forward on a view, nodes and all.
//
// Tasks are taken to start and to become healthy at once, and to end at once when they are told to; what is
// unreachable or waits after failures stays so. So the places are those that the leader picks while nothing
// else changes: it is its own step that is asked, round after round, until it has nothing left to do.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "core/apps/plan.h"

namespace smackd::apps {

/// Rows of tasks and nodes that one forecast looks at, over all rounds: bounds its time to about a second.
inline constexpr uint64_t kForecastRowsMax = 400'000;

/// Tasks of the app on one machine.
struct NodeShare {
    uint32_t now = 0;
    uint32_t then = 0;
};

struct Forecast {
    std::map<std::string, NodeShare> nodes;  ///< by machine; those that have or get some
    uint32_t kept = 0;                       ///< tasks that run now and stay
    uint32_t started = 0;
    uint32_t stopped = 0;           ///< that run now and go
    std::optional<WhyNot> waiting;  ///< what keeps it from having all of its instances
    bool complete = true;           ///< false: it was still under way at kForecastRowsMax
};

/// Of one app of `view`, from `now_ms` on. The ports that tasks get are not foreseen, as decide() draws them.
Forecast forecast(const View& view, const Parameters& parameters, int64_t now_ms, const std::string& app_id);

}  // namespace smackd::apps
