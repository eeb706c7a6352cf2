#include "cmd/smackd/service_notice.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cstddef>
#include <cstring>
#include <format>

namespace smackd::cmd {
namespace {

/// A service manager's end, by an abstract name ('@...') or a path.
class Manager {
 public:
    explicit Manager(const std::string& name)
        : descriptor_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, name.data(), name.size());
        if (name[0] == '@') address.sun_path[0] = '\0';
        REQUIRE(::bind(descriptor_, reinterpret_cast<const sockaddr*>(&address),
                       static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size())) == 0);
        ::setenv("NOTIFY_SOCKET", name.c_str(), 1);
    }
    ~Manager() { ::close(descriptor_); }
    std::string heard() const {
        char buffer[256];
        const ssize_t got = ::recv(descriptor_, buffer, sizeof buffer, 0);
        return got < 0 ? "nothing" : std::string(buffer, static_cast<size_t>(got));
    }

 private:
    int descriptor_;
};

TEST_CASE("a service manager is told, and children are not given its socket") {
    const std::string path = std::format("/tmp/smackd-notice-{}", ::getpid());
    for (const std::string& name : {path, "@" + path}) {
        const Manager manager(name);
        ServiceNotice notice;
        CHECK(::getenv("NOTIFY_SOCKET") == nullptr);
        CHECK(manager.heard() == "nothing");
        notice.ready();
        CHECK(manager.heard() == "READY=1");
        notice.stopping();
        CHECK(manager.heard() == "STOPPING=1");
        CHECK(manager.heard() == "nothing");
    }
    ::unlink(path.c_str());
}

TEST_CASE("without a service manager nothing happens") {
    ServiceNotice notice;
    notice.ready();
    ::setenv("NOTIFY_SOCKET", "/nonexistent/socket", 1);
    ServiceNotice lost;
    lost.ready();
    lost.stopping();
}

}  // namespace
}  // namespace smackd::cmd
