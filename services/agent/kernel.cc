#include "services/agent/kernel.h"

#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <string>

namespace smackd::agent {

core::Result<void> check_kernel() {
    // Asked for nothing at all: a kernel that knows the call says EINVAL or EBADF.
    if (::syscall(SYS_mount_setattr, -1, "", 0, nullptr, 0) == 0 || errno != ENOSYS) return {};
    utsname name{};
    ::uname(&name);
    return core::fail(
        core::Errc::kUnsupported,
        "the kernel of this machine is {} and has no id-mapped mounts; tasks need Linux 5.14 or "
        "newer",
        std::string(&name.release[0]));
}

}  // namespace smackd::agent
