// Linked into every fuzz target: SMACKD_PLANT=NAME plants one bug, to prove that the target would find it.
#include <cstdlib>

#include "core/planted.h"

extern "C" int LLVMFuzzerInitialize(int* /*argc*/, char*** /*argv*/) {
    if (const char* name = std::getenv("SMACKD_PLANT")) smackd::core::plant_bug(name);
    return 0;
}
