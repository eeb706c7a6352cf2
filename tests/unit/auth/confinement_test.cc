#include "auth/confinement.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <fstream>
#include <functional>

#include "temporary_directory.h"

using namespace smackd;

namespace {

constexpr uint32_t kNobody = 65534;

/// Runs `work` in a child process; its return value (0 to 125).
int in_child(const std::function<int()>& work) {
    const int pid = ::fork();
    if (pid == 0) ::_exit(work());
    int status = 0;
    ::waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 126;
}

int open_error(const std::string& path, int flags) {
    const int fd = ::open(path.c_str(), flags | O_CLOEXEC, 0600);
    if (fd < 0) return errno;
    ::close(fd);
    return 0;
}

int tcp_error(bool bind, uint16_t port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const auto* raw = reinterpret_cast<const sockaddr*>(&address);
    const int done = bind ? ::bind(fd, raw, sizeof address) : ::connect(fd, raw, sizeof address);
    const int error_number = done == 0 ? 0 : errno;
    ::close(fd);
    return error_number;
}

long landlock_abi() {
    return ::syscall(444, nullptr, 0, 1U);
}

struct Folder {
    auth::test::TemporaryDirectory directory;
    Folder() {
        ::chmod(directory.path().c_str(), 0755);
        std::ofstream(directory / "inside") << "x";
        ::chmod((directory / "inside").c_str(), 0666);
    }
};

}  // namespace

TEST_CASE("without root, Landlock alone limits files and ports") {
    if (::geteuid() != 0) SKIP("needs root");
    const long abi = landlock_abi();
    if (abi < 1) SKIP("no Landlock");
    const Folder folder;
    const int failed = in_child([&] {
        if (::setresuid(kNobody, kNobody, kNobody) != 0) return 1;
        const auto seen = auth::confine({.root = folder.directory.path(), .listen_port = 23456});
        if (!seen || *seen != folder.directory.path()) return 2;
        if (open_error(folder.directory / "inside", O_RDONLY) != 0) return 3;
        if (open_error(folder.directory / "inside", O_RDWR) != EACCES) return 4;
        if (open_error("/etc/passwd", O_RDONLY) != EACCES) return 5;
        if (open_error("/tmp/smackd-auth-new", O_WRONLY | O_CREAT) != EACCES) return 6;
        if (abi >= 4 && tcp_error(true, 23456) != 0) return 7;
        if (abi >= 4 && tcp_error(true, 23457) != EACCES) return 8;
        if (abi >= 4 && tcp_error(false, 23456) != EACCES) return 9;
        if (abi >= 6 && ::kill(::getppid(), 0) == 0) return 10;
        if (::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0) return 11;
        return 0;
    });
    CHECK(failed == 0);
}

TEST_CASE("with root, the folder becomes all there is and root is gone for good") {
    if (::geteuid() != 0) SKIP("needs root");
    const Folder folder;
    const int inherited = ::open("/etc/passwd", O_RDONLY);
    const int failed = in_child([&] {
        const auto seen = auth::confine(
            {.root = folder.directory.path(), .uid = kNobody, .gid = kNobody, .listen_port = 88});
        if (!seen || !seen->empty()) return 1;
        if (open_error("/inside", O_RDONLY) != 0) return 2;
        if (open_error("/inside", O_RDWR) == 0 && landlock_abi() > 0) return 3;
        if (open_error("/etc/passwd", O_RDONLY) != ENOENT) return 4;
        if (::setresuid(0, 0, 0) == 0 || ::geteuid() != kNobody || ::getegid() != kNobody) return 5;
        if (::chroot("/") == 0) return 6;
        char byte = 0;
        if (::read(inherited, &byte, 1) >= 0) return 7;  // the parent's descriptor
        if (tcp_error(true, 88) == EACCES || tcp_error(true, 88) == EPERM)
            return 8;  // the low port is allowed
        if (tcp_error(true, 89) != EACCES) return 9;
        return 0;
    });
    ::close(inherited);
    CHECK(failed == 0);
}

TEST_CASE("a child without its parent ends at once") {
    CHECK(in_child([] { return auth::die_with_parent(::getppid()) ? 0 : 1; }) == 0);
    CHECK(in_child([] { return auth::die_with_parent(1) ? 0 : 1; }) == 1);
}
