// Assertions that stay on in every build.
//
// SMACK_ASSERT is for what only a bug in smackd can cause; it prints the place and aborts, and the
// supervisor starts the process again. Input from network, disk, user or configuration is never
// asserted: that is what Result is for.
#pragma once

namespace smackd::core {

/// Prints `condition` with its place to stderr and aborts. Never returns.
[[noreturn]] void assertion_failed(const char* condition, const char* file, int line);

}  // namespace smackd::core

#define SMACK_ASSERT(condition)                                               \
    do {                                                                      \
        if (!(condition)) [[unlikely]] {                                      \
            ::smackd::core::assertion_failed(#condition, __FILE__, __LINE__); \
        }                                                                     \
    } while (false)
