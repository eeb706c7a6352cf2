#pragma once

namespace smackd::sim::placement {

/// `sim --placement`, without these two words.
int run(int argc, char** argv);

}  // namespace smackd::sim::placement
