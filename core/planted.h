// Planted bugs: wrong behaviour the simulator switches on by name to prove that its checkers notice.
//
// `if (SMACK_BUG("forget_vote_sync")) ...` is the constant false in every build but the simulator's, which is
// compiled with SMACKD_PLANTED_BUGS. tests/sim/planted.txt lists each name with a seed that catches it.
#pragma once

#ifdef SMACKD_PLANTED_BUGS

#include <string_view>

namespace smackd::core {

/// True when `name` is the bug planted in this run.
bool bug_planted(std::string_view name);
/// Plants one bug from here on; an empty name plants none. Not thread-safe: the simulator has one thread.
void plant_bug(std::string_view name);

}  // namespace smackd::core

#define SMACK_BUG(name) (::smackd::core::bug_planted(name))

#else

#define SMACK_BUG(name) false

#endif
