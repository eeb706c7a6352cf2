// API requests per second with a fresh Negotiate token each: the cost of a client that keeps no session.
//
// Usage: SMACKD_KEYTAB=... SMACKD_PRINCIPAL=... KRB5_CONFIG=... negotiate_load http://localhost:PORT THREADS
// SECONDS Client and server share the machine: the client's own GSS work is part of the figure.
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <format>
#include <string>
#include <thread>
#include <vector>

#include "auth/initiator.h"
#include "core/bytes.h"

namespace {

using namespace smackd;

[[noreturn]] void die(const std::string& text) {
    std::fprintf(stderr, "negotiate_load: %s\n", text.c_str());
    std::exit(1);
}

template <class T>
T must(core::Result<T> result) {
    if (!result) die(result.error().to_string());
    return std::move(*result);
}

int connect_to(uint16_t port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
        die("cannot connect");
    return fd;
}

/// Reads one answer with a Content-Length; returns its status.
int read_answer(int fd, std::string& buffer) {
    buffer.clear();
    size_t wanted = std::string::npos;
    char bytes[8192];
    while (wanted == std::string::npos || buffer.size() < wanted) {
        const ssize_t count = ::read(fd, bytes, sizeof bytes);
        if (count <= 0) die("the server closed the connection");
        buffer.append(bytes, static_cast<size_t>(count));
        const size_t end = buffer.find("\r\n\r\n");
        if (wanted != std::string::npos || end == std::string::npos) continue;
        const size_t length = buffer.find("Content-Length: ");
        const size_t lower = buffer.find("content-length: ");
        const size_t at = std::min(length, lower);
        if (at == std::string::npos || at > end) die("an answer without Content-Length");
        wanted = end + 4 + std::strtoul(buffer.c_str() + at + 16, nullptr, 10);
    }
    return static_cast<int>(std::strtol(buffer.c_str() + 9, nullptr, 10));
}

void run(const std::string& host, uint16_t port, std::chrono::steady_clock::time_point end,
         std::atomic<uint64_t>& done) {
    const char* keytab = std::getenv("SMACKD_KEYTAB");
    const char* principal = std::getenv("SMACKD_PRINCIPAL");
    if (keytab == nullptr || principal == nullptr) die("SMACKD_KEYTAB and SMACKD_PRINCIPAL are needed");
    const auth::ClientCredential credential = must(auth::ClientCredential::from_keytab(keytab, principal));
    const int fd = connect_to(port);
    std::string answer;
    while (std::chrono::steady_clock::now() < end) {
        auth::GssInitiator initiator =
            must(auth::GssInitiator::open(credential, {.service = "HTTP@" + host}));
        const std::string request =
            std::format("GET /smack/v1/whoami HTTP/1.1\r\nHost: {}:{}\r\nAuthorization: Negotiate {}\r\n\r\n",
                        host, port, core::to_base64(must(initiator.step())));
        if (::send(fd, request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size()))
            die("send");
        const int status = read_answer(fd, answer);
        if (status != 200) die(std::format("status {}: {}", status, answer));
        done.fetch_add(1, std::memory_order_relaxed);
    }
    ::close(fd);
}

}  // namespace

int main(int argc, char** argv) {
    const std::string url = argc == 4 ? argv[1] : "";
    const size_t colon = url.rfind(':');
    if (!url.starts_with("http://") || colon < 7)
        die("usage: negotiate_load http://HOST:PORT THREADS SECONDS");
    const std::string host = url.substr(7, colon - 7);
    const auto port = static_cast<uint16_t>(std::strtoul(url.c_str() + colon + 1, nullptr, 10));
    const long seconds = std::strtol(argv[3], nullptr, 10);
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
    std::atomic<uint64_t> done{0};
    std::vector<std::thread> threads;
    for (long i = std::strtol(argv[2], nullptr, 10); i > 0; --i) {
        threads.emplace_back([&] { run(host, port, end, done); });
    }
    for (std::thread& thread : threads) thread.join();
    std::printf("%.0f/s with %zu clients\n", static_cast<double>(done.load()) / static_cast<double>(seconds),
                threads.size());
    return 0;
}
