// How late a change reaches those who watch: WATCHERS event streams, one writer at a fixed pace.
//
// Usage: SMACKD_TOKEN=... feed_delay PORT WATCHERS WRITES WRITES_PER_SECOND    (plain HTTP on 127.0.0.1)
// Prints: events received, events expected, then milliseconds p50 and p99 from the acknowledgement of a write
// to its arrival at a watcher (0 when it arrived before the writer had its answer), and the same from the
// sending of the write. The token comes by the environment so that it is on no command line.
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <format>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

struct Write {
    Clock::time_point sent;
    Clock::time_point acknowledged;
};

struct Arrival {
    size_t write;
    Clock::time_point at;
};

double milliseconds(Clock::duration duration) {
    return std::chrono::duration<double, std::milli>(duration).count();
}

int connect_to(uint16_t port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
        std::perror("connect");
        std::exit(1);
    }
    return fd;
}

void send_all(int fd, const std::string& bytes) {
    if (::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(bytes.size())) {
        std::perror("send");
        std::exit(1);
    }
}

std::string head(const std::string& line, const std::string& token, uint16_t port) {
    return std::format("{} HTTP/1.1\r\nHost: localhost:{}\r\nAuthorization: Bearer {}\r\n", line, port,
                       token);
}

/// Takes whole lines out of a watcher's stream and notes each that names one of our writes.
void scan(std::string& buffer, Clock::time_point now, std::vector<Arrival>& arrivals) {
    static const std::string kMark = "\"key\":\"feedbench-";
    size_t begin = 0;
    for (size_t end = buffer.find('\n'); end != std::string::npos; end = buffer.find('\n', begin)) {
        const std::string_view line(buffer.data() + begin, end - begin);
        const size_t mark = line.find(kMark);
        if (line.starts_with("data:") && mark != std::string_view::npos) {
            arrivals.push_back({std::strtoul(line.data() + mark + kMark.size(), nullptr, 10), now});
        }
        begin = end + 1;
    }
    buffer.erase(0, begin);
}

class Bench {
 public:
    Bench(uint16_t port, std::string token, size_t watchers, size_t writes)
        : port_(port), token_(std::move(token)), buffers_(watchers), writes_(writes) {
        epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
        for (size_t i = 0; i < watchers; ++i) {
            const int fd = connect_to(port_);
            send_all(fd, head("GET /smack/v1/events?from=now", token_, port_) +
                             "Accept: text/event-stream\r\n\r\n");
            epoll_event event{.events = EPOLLIN, .data = {.u64 = i}};
            fds_.push_back(fd);
            ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
        }
        writer_ = connect_to(port_);
        epoll_event event{.events = EPOLLIN, .data = {.u64 = watchers}};
        ::epoll_ctl(epoll_, EPOLL_CTL_ADD, writer_, &event);
    }

    void run(double writes_per_second) {
        const auto pace =
            std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(1 / writes_per_second));
        turn_until(Clock::now() + std::chrono::milliseconds(500));
        const Clock::time_point begin = Clock::now();
        for (size_t i = 0; i < writes_.size(); ++i) {
            turn_until(begin + pace * static_cast<long>(i));
            put(i);
        }
        turn_until(Clock::now() + std::chrono::seconds(3));
    }

    void print() const {
        std::vector<double> from_ack;
        std::vector<double> from_send;
        for (const Arrival& arrival : arrivals_) {
            if (arrival.write >= writes_.size()) continue;
            from_ack.push_back(std::max(0.0, milliseconds(arrival.at - writes_[arrival.write].acknowledged)));
            from_send.push_back(milliseconds(arrival.at - writes_[arrival.write].sent));
        }
        std::printf("%zu %zu %.3f %.3f %.3f %.3f\n", from_ack.size(), writes_.size() * fds_.size(),
                    percentile(from_ack, 50), percentile(from_ack, 99), percentile(from_send, 50),
                    percentile(from_send, 99));
    }

 private:
    static double percentile(std::vector<double> values, size_t percent) {
        if (values.empty()) return -1;
        std::sort(values.begin(), values.end());
        return values[std::min(values.size() - 1, values.size() * percent / 100)];
    }

    void put(size_t i) {
        const std::string body = std::format(R"({{"description":"write {}","members":[]}})", i);
        writes_[i].sent = Clock::now();
        send_all(writer_, head(std::format("PUT /smack/v1/groups/feedbench-{}", i), token_, port_) +
                              std::format("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
                                          body.size(), body));
        waiting_for_ = i;
        while (waiting_for_ == i) turn(1000);
    }

    void turn_until(Clock::time_point end) {
        for (Clock::time_point now = Clock::now(); now < end; now = Clock::now()) {
            turn(static_cast<int>(milliseconds(end - now)) + 1);
        }
    }

    void turn(int timeout_ms) {
        epoll_event events[64];
        const int ready = ::epoll_wait(epoll_, events, 64, timeout_ms);
        const Clock::time_point now = Clock::now();
        for (int k = 0; k < ready; ++k) {
            const size_t who = events[k].data.u64;
            char bytes[16384];
            const ssize_t count = ::read(who < fds_.size() ? fds_[who] : writer_, bytes, sizeof bytes);
            if (count <= 0) {
                std::fprintf(stderr, "connection %zu was closed by the server\n", who);
                std::exit(1);
            }
            const std::string_view text(bytes, static_cast<size_t>(count));
            if (who < fds_.size()) {
                buffers_[who] += text;
                scan(buffers_[who], now, arrivals_);
            } else if (text.starts_with("HTTP/1.1 ")) {
                answered(text, now);
            }
        }
    }

    void answered(std::string_view text, Clock::time_point now) {
        if (!text.substr(9).starts_with("20")) {
            std::fprintf(stderr, "write refused: %.*s\n", static_cast<int>(text.size()), text.data());
            std::exit(1);
        }
        writes_[waiting_for_].acknowledged = now;
        waiting_for_ = writes_.size();
    }

    uint16_t port_;
    std::string token_;
    std::vector<std::string> buffers_;
    std::vector<Write> writes_;
    std::vector<Arrival> arrivals_;
    std::vector<int> fds_;
    int writer_ = -1;
    int epoll_ = -1;
    size_t waiting_for_ = ~size_t{0};
};

}  // namespace

int main(int argc, char** argv) {
    const char* token = std::getenv("SMACKD_TOKEN");
    if (argc != 5 || token == nullptr) {
        std::fprintf(stderr, "usage: SMACKD_TOKEN=... feed_delay PORT WATCHERS WRITES WRITES_PER_SECOND\n");
        return 2;
    }
    Bench bench(static_cast<uint16_t>(std::strtoul(argv[1], nullptr, 10)), token,
                std::strtoul(argv[2], nullptr, 10), std::strtoul(argv[3], nullptr, 10));
    bench.run(std::strtod(argv[4], nullptr));
    bench.print();
    return 0;
}
