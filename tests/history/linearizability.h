// Is the history of one register linearizable (Herlihy, Wing 1990)?
//
// A search for an order of the operations that agrees with real time and with what a register does, in the
// manner of Wing, Gong 1993 and Lowe 2017: an operation may come next when none that is still missing had
// returned before it was invoked; what was tried in one state is not tried in it again. Registers are judged
// one by one, since linearizability is local. Values written are unique, which keeps the search narrow:
// - A read, or a cas that found another value, changes nothing: it is taken as soon as it fits.
// - A value is not replaced while somebody has still to find it: it does not come back.
// - An operation of unknown outcome whose value was observed took effect before the first observer returned.
// - One whose value nobody observed is needed only to explain a cas that found another value than it
//   expected.
#pragma once

#include <string>
#include <vector>

#include "tests/history/operation.h"

namespace smackd::history {

/// States that one register may take to judge: a history that needs more is reported, never passed.
inline constexpr size_t kStatesMax = 200'000;

struct Verdict {
    enum class Kind : uint8_t { kLinearizable, kViolation, kUndecided };
    Kind kind = Kind::kLinearizable;
    std::string why;  ///< of a violation: how far an order goes, and what fits next in none
};

/// `operations` of one register, in any order. A value that is written twice is kUndecided.
Verdict judge(const std::vector<Operation>& operations);

}  // namespace smackd::history
