// Linked into build/sim/smackd: SMACKD_PLANT=NAME plants one bug of core/planted.h in storage or core, to
// prove that a recorded history would show it.
#include <cstdlib>

#include "core/planted.h"

namespace {

const bool kPlanted = [] {
    const char* name = std::getenv("SMACKD_PLANT");
    if (name != nullptr) smackd::core::plant_bug(name);
    return name != nullptr;
}();

}  // namespace
