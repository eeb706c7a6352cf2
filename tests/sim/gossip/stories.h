// What must hold when members come, go, move, pause and are cut off; one seed is one cluster that lives
// through all of it.
#pragma once

#include <cstdint>
#include <string>

namespace smackd::sim::gossip {

/// Empty when everything held, else what did not. `trace` prints every event.
std::string run_stories_of(uint64_t seed, bool trace = false);

}  // namespace smackd::sim::gossip
