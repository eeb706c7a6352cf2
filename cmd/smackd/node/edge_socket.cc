#include "cmd/smackd/node/edge_socket.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace smackd::cmd {

using core::Result;

Result<sockaddr_un> edge_address(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path)
        return core::fail(core::Errc::kInvalid, "{}: longer than a socket's path may be", path);
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

Result<int> make_edge_socket() {
    const int descriptor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return core::fail_errno(errno, "a socket for the edge");
    return descriptor;
}

Result<int> connect_to_edge(const std::string& path) {
    TRY_ASSIGN(const sockaddr_un address, edge_address(path));
    TRY_ASSIGN(const int descriptor, make_edge_socket());
    if (::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
        return descriptor;
    const int why = errno;
    ::close(descriptor);
    return core::fail_errno(why, "reaching the edge");
}

}  // namespace smackd::cmd
