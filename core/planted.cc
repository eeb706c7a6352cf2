#include "core/planted.h"

#ifdef SMACKD_PLANTED_BUGS

#include <string>

namespace smackd::core {
namespace {

std::string& planted() {
    static std::string name;
    return name;
}

}  // namespace

bool bug_planted(std::string_view name) {
    return !planted().empty() && planted() == name;
}
void plant_bug(std::string_view name) {
    planted() = name;
}

}  // namespace smackd::core

#endif
