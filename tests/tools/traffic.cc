// Requests at a fixed rate over new and kept connections, GET and POST mixed, each with a checked answer.
//
//     traffic HOST:PORT NAME RATE SECONDS
//
// A request that is due is sent, however long those before it take (an open loop). Whatever is not the whole
// right answer at the first try is a failure: a refused or reset connection, an end before the answer,
// another status, another body, more than kLimit. Nothing is sent twice. A tenth asks for /slow. When it
// ends, by time or by SIGTERM, it prints JSON: counts, failures (the first kListed with their time), latency,
// gaps without a success, answers by version. The server answers "VERSION TASK CRC32-OF-THE-BODY".
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <format>
#include <map>
#include <memory>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

namespace smackd {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr Seconds kLimit{10};
constexpr Seconds kGap{0.2};  // without a success: listed
constexpr size_t kListed = 20;
constexpr size_t kActiveMax = 8000;  // more at once are failures
constexpr size_t kAnswerBytesMax = 64 * 1024;

volatile sig_atomic_t stopped = 0;

/// CRC-32 as zlib has it.
uint32_t crc32(std::string_view bytes) {
    static const auto table = [] {
        std::array<uint32_t, 256> made{};
        for (uint32_t i = 0; i < 256; ++i) {
            uint32_t value = i;
            for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0xedb88320U : 0U);
            made[i] = value;
        }
        return made;
    }();
    uint32_t sum = ~0U;
    for (const char byte : bytes) sum = table[(sum ^ static_cast<uint8_t>(byte)) & 255] ^ (sum >> 8);
    return ~sum;
}

struct Connection {
    int descriptor = -1;
    bool busy = false;
    bool post = false;
    bool kept = false;
    uint32_t sum = 0;  // of the body that is sent
    Clock::time_point began;
    std::string out;
    std::string in;
};

class Traffic {
 public:
    Traffic(sockaddr_in to, std::string name, double rate, Seconds length)
        : to_(to), name_(std::move(name)), rate_(rate), length_(length), epoll_(::epoll_create1(0)) {}

    void run() {
        begin_ = Clock::now();
        while (stopped == 0 && Clock::now() - begin_ < length_) turn(true);
        took_ = Clock::now() - begin_;
        while (!busy_.empty()) turn(false);
    }
    void print() const;

 private:
    void turn(bool issue);
    void start(uint64_t number);
    Connection* connect();
    void on_ready(Connection* connection, uint32_t events);
    void send(Connection* connection);
    void receive(Connection* connection);
    bool parse(Connection* connection);
    void succeed(Connection* connection, bool goes_on, const std::string& version);
    void fail(Connection* connection, std::string problem);
    void close(Connection* connection);
    void expire();

    sockaddr_in to_;
    std::string name_;
    double rate_;
    Seconds length_;
    int epoll_;
    Clock::time_point begin_;
    Clock::time_point last_ok_{};
    Clock::time_point last_expiry_{};
    Seconds took_{0};
    std::unordered_set<Connection*> busy_;
    std::vector<Connection*> idle_;
    std::vector<std::unique_ptr<Connection>> dead_;  // until the turn is over
    uint64_t issued_ = 0;
    uint64_t ok_ = 0;
    uint64_t failed_ = 0;
    uint64_t opened_ = 0;
    uint64_t closed_idle_ = 0;
    double longest_gap_ = 0;
    std::vector<float> latencies_;
    std::map<std::string, uint64_t> versions_;
    std::vector<std::string> failures_;
    std::vector<std::string> gaps_;
};

double wall() {
    return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

void Traffic::turn(bool issue) {
    const auto due = static_cast<uint64_t>(Seconds(Clock::now() - begin_).count() * rate_);
    while (issue && issued_ < due) start(issued_++);
    std::array<epoll_event, 256> events{};
    const int count = ::epoll_wait(epoll_, events.data(), events.size(), 2);
    for (int i = 0; i < count; ++i) {
        auto* connection = static_cast<Connection*>(events[static_cast<size_t>(i)].data.ptr);
        if (connection->descriptor >= 0) on_ready(connection, events[static_cast<size_t>(i)].events);
    }
    dead_.clear();
    if (Clock::now() - last_expiry_ > Seconds(0.1)) expire();
}

Connection* Traffic::connect() {
    auto connection = std::make_unique<Connection>();
    connection->descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(connection->descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ++opened_;
    // What goes wrong comes as an event.
    if (::connect(connection->descriptor, reinterpret_cast<sockaddr*>(&to_), sizeof to_) != 0 &&
        errno != EINPROGRESS)
        std::fprintf(stderr, "connect: %s\n", std::strerror(errno));
    epoll_event event{EPOLLIN | EPOLLOUT, {.ptr = connection.get()}};
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, connection->descriptor, &event);
    return connection.release();
}

void Traffic::start(uint64_t number) {
    const bool kept = number % 4 >= 2;
    if (busy_.size() >= kActiveMax) {
        ++failed_;
        return;
    }
    Connection* connection = nullptr;
    if (kept && !idle_.empty()) {
        connection = idle_.back();
        idle_.pop_back();
        epoll_event event{EPOLLIN | EPOLLOUT, {.ptr = connection}};
        ::epoll_ctl(epoll_, EPOLL_CTL_MOD, connection->descriptor, &event);
    } else {
        connection = connect();
    }
    connection->busy = true;
    connection->post = number % 2 == 1;
    connection->kept = kept;
    connection->began = Clock::now();
    std::string body;
    if (connection->post) {
        body.resize(100 + number * 37 % 4000);
        for (size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>((number + i) * 31);
    }
    connection->sum = crc32(body);
    connection->in.clear();
    connection->out = std::format("{} {} HTTP/1.1\r\nHost: {}\r\n{}{}\r\n{}",
                                  connection->post ? "POST" : "GET", number % 21 >= 19 ? "/slow" : "/", name_,
                                  connection->post ? std::format("Content-Length: {}\r\n", body.size()) : "",
                                  kept ? "" : "Connection: close\r\n", body);
    busy_.insert(connection);
}

void Traffic::on_ready(Connection* connection, uint32_t events) {
    if (!connection->busy) {  // the server has closed it, or says what nobody asked for
        std::erase(idle_, connection);
        ++closed_idle_;
        return close(connection);
    }
    int problem = 0;
    socklen_t size = sizeof problem;
    ::getsockopt(connection->descriptor, SOL_SOCKET, SO_ERROR, &problem, &size);
    if (problem != 0) return fail(connection, std::strerror(problem));
    if ((events & EPOLLOUT) != 0 && !connection->out.empty()) send(connection);
    if (connection->descriptor >= 0 && (events & (EPOLLIN | EPOLLHUP | EPOLLRDHUP)) != 0) receive(connection);
}

void Traffic::send(Connection* connection) {
    const ssize_t sent =
        ::send(connection->descriptor, connection->out.data(), connection->out.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) return;
    if (sent < 0) return fail(connection, std::format("sending: {}", std::strerror(errno)));
    connection->out.erase(0, static_cast<size_t>(sent));
    if (!connection->out.empty()) return;
    epoll_event event{EPOLLIN, {.ptr = connection}};
    ::epoll_ctl(epoll_, EPOLL_CTL_MOD, connection->descriptor, &event);
}

void Traffic::receive(Connection* connection) {
    std::array<char, 16384> bytes{};
    const ssize_t got = ::recv(connection->descriptor, bytes.data(), bytes.size(), 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got < 0) return fail(connection, std::format("receiving: {}", std::strerror(errno)));
    connection->in.append(bytes.data(), static_cast<size_t>(got));
    if (parse(connection)) return;
    if (got == 0)
        return fail(connection,
                    std::format("the connection ends after {} bytes of the answer", connection->in.size()));
    if (connection->in.size() > kAnswerBytesMax) fail(connection, "the answer is too long");
}

/// True when the request is over.
bool Traffic::parse(Connection* connection) {
    const std::string& in = connection->in;
    const size_t end = in.find("\r\n\r\n");
    if (end == std::string::npos) return false;
    std::string head = in.substr(0, end + 2);
    std::ranges::transform(head, head.begin(), [](unsigned char c) { return std::tolower(c); });
    const size_t field = head.find("\r\ncontent-length:");
    size_t length = 0;
    if (field != std::string::npos) length = std::strtoul(head.c_str() + field + 17, nullptr, 10);
    if (in.size() < end + 4 + length) return false;
    const std::string body = in.substr(end + 4, length);
    if (!head.starts_with("http/1.1 200 ")) {
        fail(connection, std::format("{}: {}", head.substr(0, head.find('\r')), body.substr(0, 200)));
        return true;
    }
    if (!body.ends_with(std::format(" {}", connection->sum))) {
        fail(connection, "another body: " + body.substr(0, 200));
        return true;
    }
    succeed(connection, !head.contains("\r\nconnection: close"), body.substr(0, body.find(' ')));
    return true;
}

void Traffic::succeed(Connection* connection, bool goes_on, const std::string& version) {
    const Clock::time_point now = Clock::now();
    ++ok_;
    ++versions_[version];
    latencies_.push_back(static_cast<float>(Seconds(now - connection->began).count()));
    const double gap = last_ok_ == Clock::time_point{} ? 0 : Seconds(now - last_ok_).count();
    if (gap > kGap.count() && gaps_.size() < kListed)
        gaps_.push_back(std::format(R"({{"at": {:.3f}, "seconds": {:.3f}}})", wall(), gap));
    longest_gap_ = std::max(longest_gap_, gap);
    last_ok_ = now;
    busy_.erase(connection);
    connection->busy = false;
    if (!goes_on || !connection->kept) return close(connection);
    idle_.push_back(connection);
}

void Traffic::fail(Connection* connection, std::string problem) {
    ++failed_;
    std::ranges::replace_if(
        problem, [](char c) { return c == '"' || c == '\\' || static_cast<uint8_t>(c) < ' '; }, '\'');
    if (failures_.size() < kListed)
        failures_.push_back(std::format(R"({{"at": {:.3f}, "kind": "{} {}", "problem": "{}"}})", wall(),
                                        connection->post ? "POST" : "GET", connection->kept ? "kept" : "new",
                                        problem));
    busy_.erase(connection);
    close(connection);
}

void Traffic::close(Connection* connection) {
    ::close(std::exchange(connection->descriptor, -1));
    dead_.emplace_back(connection);
}

void Traffic::expire() {
    last_expiry_ = Clock::now();
    std::vector<Connection*> late;
    for (Connection* connection : busy_) {
        if (last_expiry_ - connection->began > kLimit) late.push_back(connection);
    }
    for (Connection* connection : late) fail(connection, std::format("no answer in {} s", kLimit.count()));
    dead_.clear();
}

std::string joined(const std::vector<std::string>& parts) {
    std::string all;
    for (const std::string& part : parts) all += (all.empty() ? "" : ", ") + part;
    return all;
}

void Traffic::print() const {
    std::vector<float> times = latencies_;
    std::ranges::sort(times);
    const auto part = [&](double share) {
        if (times.empty()) return 0.0F;
        const auto at = static_cast<size_t>(static_cast<double>(times.size()) * share);
        return times[std::min(times.size() - 1, at)] * 1000;
    };
    std::vector<std::string> versions;
    for (const auto& [version, count] : versions_)
        versions.push_back(std::format(R"("{}": {})", version, count));
    // Of four in a row the first is a GET on a new connection, then POST, then both on kept ones.
    const auto of = [this](uint64_t first, uint64_t second) {
        return (issued_ + 3 - first) / 4 + (issued_ + 3 - second) / 4;
    };
    std::printf(
        "%s\n",
        std::format(
            R"({{"requests": {}, "ok": {}, "failed": {}, "get": {}, "post": {}, "new": {}, "kept": {}, )"
            R"("opened": {}, "closed_idle": {}, "seconds": {:.2f}, "rate": {:.0f}, "p50_ms": {:.2f}, )"
            R"("p99_ms": {:.2f}, "max_ms": {:.2f}, "longest_gap_s": {:.3f}, "gaps": [{}], )"
            R"("versions": {{{}}}, "failures": [{}]}})",
            issued_, ok_, failed_, of(0, 2), of(1, 3), of(0, 1), of(2, 3), opened_, closed_idle_,
            took_.count(), static_cast<double>(issued_) / std::max(took_.count(), 0.001), part(0.5),
            part(0.99), part(1), longest_gap_, joined(gaps_), joined(versions), joined(failures_))
            .c_str());
}

int run(const std::vector<std::string>& words) {
    const size_t colon = words.empty() ? std::string::npos : words[0].rfind(':');
    sockaddr_in to{};
    to.sin_family = AF_INET;
    if (words.size() != 4 || colon == std::string::npos ||
        ::inet_pton(AF_INET, words[0].substr(0, colon).c_str(), &to.sin_addr) != 1) {
        std::fprintf(stderr, "traffic HOST:PORT NAME RATE SECONDS\n");
        return 2;
    }
    to.sin_port = htons(static_cast<uint16_t>(std::strtoul(words[0].c_str() + colon + 1, nullptr, 10)));
    struct sigaction action{};
    action.sa_handler = [](int) { stopped = 1; };
    for (const int number : {SIGTERM, SIGINT}) ::sigaction(number, &action, nullptr);
    Traffic traffic(to, words[1], std::strtod(words[2].c_str(), nullptr),
                    Seconds(std::strtod(words[3].c_str(), nullptr)));
    traffic.run();
    traffic.print();
    return 0;
}

}  // namespace
}  // namespace smackd

int main(int argc, char** argv) {
    return smackd::run({argv + 1, argv + argc});
}
