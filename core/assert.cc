#include "core/assert.h"

#include <cstdio>
#include <cstdlib>

namespace smackd::core {

void assertion_failed(const char* condition, const char* file, int line) {
    std::fprintf(stderr, "smackd: bug: assertion '%s' failed at %s:%d\n", condition, file, line);
    std::fflush(stderr);
    std::abort();
}

}  // namespace smackd::core
