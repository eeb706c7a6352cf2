// The simulated disk, compiled into the unit tests of storage.
#include "tests/sim/disk.cc"
