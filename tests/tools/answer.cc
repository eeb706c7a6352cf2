// The server that tests/tools/traffic asks, for tasks: "VERSION TASK CRC32-OF-THE-BODY" to every request, to
// /slow after 0.3 s.
//
//     PORT=n VERSION=v MESOS_TASK_ID=id answer
//
// One thread, for tests alone: a head or a body above kRequestBytesMax ends the connection.
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <format>
#include <map>
#include <string>

namespace smackd {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kRequestBytesMax = 64 * 1024;
constexpr auto kSlow = std::chrono::milliseconds(300);

std::string environment(const char* name, const char* otherwise) {
    const char* value = std::getenv(name);
    return value == nullptr ? otherwise : value;
}

class Server {
 public:
    explicit Server(uint16_t port) : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        const int on = 1;
        setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        if (bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
            listen(listener_, 1000) != 0)
            std::exit(1);
        watch(listener_);
    }

    void serve() {
        for (;;) {
            epoll_event event{};
            const int count = epoll_wait(epoll_, &event, 1, slow_.empty() ? -1 : 20);
            if (count == 1 && event.data.fd == listener_) accept_one();
            if (count == 1 && event.data.fd != listener_) read_from(event.data.fd);
            while (!slow_.empty() && slow_.begin()->first <= Clock::now()) {
                send_to(slow_.begin()->second.descriptor, slow_.begin()->second.answer);
                slow_.erase(slow_.begin());
            }
        }
    }

 private:
    struct Late {
        int descriptor;
        std::string answer;
    };

    void watch(int descriptor) const {
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.fd = descriptor;
        epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event);
    }

    void accept_one() const {
        const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (client >= 0) watch(client);
    }

    void end(int client) {
        std::erase_if(slow_, [client](const auto& late) { return late.second.descriptor == client; });
        received_.erase(client);
        close(client);
    }

    void read_from(int client) {
        char buffer[16384];
        const ssize_t count = recv(client, buffer, sizeof buffer, 0);
        std::string& data = received_[client];
        if (count > 0) data.append(buffer, static_cast<size_t>(count));
        if (count <= 0 || data.size() > kRequestBytesMax) return end(client);
        for (;;) {
            const size_t head_size = data.find("\r\n\r\n");
            if (head_size == std::string::npos) return;
            std::string head = data.substr(0, head_size);
            std::ranges::transform(head, head.begin(), [](unsigned char c) { return std::tolower(c); });
            const size_t field = head.find("\r\ncontent-length:");
            const size_t size =
                field == std::string::npos ? 0 : std::strtoul(head.c_str() + field + 17, nullptr, 10);
            if (data.size() < head_size + 4 + size) return;
            answer(client, head, data.substr(head_size + 4, size));
            data.erase(0, head_size + 4 + size);
        }
    }

    void answer(int client, const std::string& head, const std::string& body) {
        const unsigned long sum =
            crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()));
        const std::string text = std::format("{} {}", who_, sum);
        std::string whole = std::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", text.size(), text);
        const bool slow = head.substr(0, head.find('\r')).contains("/slow");
        if (!slow) return send_to(client, whole);
        slow_.emplace(Clock::now() + kSlow, Late{client, std::move(whole)});
    }

    static void send_to(int client, const std::string& answer) {
        send(client, answer.data(), answer.size(), MSG_NOSIGNAL);  // short: it fits the socket's buffer
    }

    int listener_;
    int epoll_ = epoll_create1(EPOLL_CLOEXEC);
    std::string who_ = environment("VERSION", "0") + " " + environment("MESOS_TASK_ID", "-");
    std::map<int, std::string> received_;
    std::multimap<Clock::time_point, Late> slow_;
};

}  // namespace
}  // namespace smackd

int main() {
    const std::string port = smackd::environment("PORT", "");
    if (port.empty()) return 2;
    smackd::Server(static_cast<uint16_t>(std::strtoul(port.c_str(), nullptr, 10))).serve();
}
