// `sim --gossip ...`: stories with checks, figures, planted bugs.
#pragma once

namespace smackd::sim::gossip {

/// The arguments after --gossip. Returns the exit code.
int run(int argc, char** argv);

}  // namespace smackd::sim::gossip
