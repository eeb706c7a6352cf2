// The simulated machines, compiled into the unit tests of storage.
#include "tests/sim/disk.cc"
#include "tests/sim/network.cc"
#include "tests/sim/process.cc"
#include "tests/sim/world.cc"
