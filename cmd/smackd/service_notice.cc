#include "cmd/smackd/service_notice.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "cmd/smackd/config.h"

namespace smackd::cmd {

std::string start_command(const std::string& data_dir) {
    if (data_dir == Config{}.data_dir) {
        for (const char* unit :
             {"/etc/systemd/system/smackd.service", "/usr/lib/systemd/system/smackd.service"}) {
            if (::access(unit, F_OK) == 0) return "systemctl enable --now smackd";
        }
    }
    return "smackd start --data-dir " + data_dir;
}

ServiceNotice::ServiceNotice() {
    const char* socket = std::getenv("NOTIFY_SOCKET");
    if (socket != nullptr) socket_ = socket;
    ::unsetenv("NOTIFY_SOCKET");
}

void ServiceNotice::tell(std::string_view state) const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (socket_.empty() || socket_.size() >= sizeof address.sun_path) return;
    std::memcpy(address.sun_path, socket_.data(), socket_.size());
    if (address.sun_path[0] == '@') address.sun_path[0] = '\0';
    // An abstract name is as long as the address says.
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_.size());
    const int descriptor = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return;
    (void)::sendto(descriptor, state.data(), state.size(), MSG_NOSIGNAL,
                   reinterpret_cast<const sockaddr*>(&address), length);
    ::close(descriptor);
}

}  // namespace smackd::cmd
