#include "cmd/smackd/node/edge_process.h"

#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>

#include "core/edge_table.h"

namespace smackd::cmd {

using core::Result;

namespace {

constexpr int kEdgeDescriptor = 3;
constexpr int kBacklog = 4;
constexpr useconds_t kEndLookUs = 10'000;

Result<sockaddr_un> address_of(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path)
        return core::fail(core::Errc::kInvalid, "{}: longer than a socket's path may be", path);
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

Result<int> unix_socket() {
    const int descriptor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return core::fail_errno(errno, "a socket for the edge");
    return descriptor;
}

}  // namespace

EdgeProcess::EdgeProcess(net::Loop& loop, std::string binary, std::string root, std::string socket,
                         core::Logger logger)
    : loop_(loop),
      binary_(std::move(binary)),
      root_(std::move(root)),
      socket_(std::move(socket)),
      logger_(std::move(logger)) {
    if (auto started = start(); !started) {
        logger_.error("the edge does not start", {{"error", started.error().message}});
        restart_later();
    }
}

EdgeProcess::~EdgeProcess() {
    stop();
}

/// The one that serves already, or else a new one.
Result<void> EdgeProcess::start() {
    auto descriptor = connect();
    if (!descriptor) {
        TRY(spawn());
        descriptor = connect();
    }
    if (!descriptor) return core::pass(std::move(descriptor));
    TRY_ASSIGN(channel_, net::FrameChannel::adopt(loop_, *descriptor, core::kEdgeFrameBytesMax, *this));
    has_table_ = false;
    if (wanted_.has_settings()) update(wire::EdgeTable(wanted_));
    return {};
}

Result<int> EdgeProcess::connect() const {
    TRY_ASSIGN(const sockaddr_un address, address_of(socket_));
    TRY_ASSIGN(const int descriptor, unix_socket());
    if (::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
        return descriptor;
    const int why = errno;
    ::close(descriptor);
    return core::fail_errno(why, "reaching the edge");
}

/// The child inherits the listening socket, by which this daemon and later ones reach it.
Result<void> EdgeProcess::spawn() {
    TRY_ASSIGN(const sockaddr_un address, address_of(socket_));
    TRY_ASSIGN(const int listener, unix_socket());
    ::unlink(socket_.c_str());
    if (::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listener, kBacklog) != 0) {
        const int why = errno;
        ::close(listener);
        return core::fail_errno(why, socket_);
    }
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, listener, kEdgeDescriptor);
    posix_spawnattr_t attributes;
    ::posix_spawnattr_init(&attributes);
    sigset_t none;
    sigemptyset(&none);
    ::posix_spawnattr_setsigmask(&attributes, &none);  // the daemon blocks its stop signals
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    const std::string uid = std::to_string(kEdgeUid);
    std::vector<std::string> words = {"smackd", "edge", "--socket-fd", std::to_string(kEdgeDescriptor),
                                      "--uid",  uid,    "--gid",       uid,
                                      "--root", root_};
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    char* environment[] = {nullptr};
    const int failed =
        ::posix_spawn(&pid_, binary_.c_str(), &actions, &attributes, arguments.data(), environment);
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
    ::close(listener);
    if (failed == 0) return {};
    pid_ = 0;
    return core::fail_errno(failed, "starting the edge");
}

void EdgeProcess::update(wire::EdgeTable table) {
    wanted_ = std::move(table);
    if (channel_ == nullptr) return;
    wire::EdgeOrder order;
    if (has_table_) {
        bool changed = false;
        *order.mutable_delta() = services::edge_delta(told_, wanted_, changed);
        if (!changed) return;
    } else {
        *order.mutable_table() = wanted_;
    }
    told_ = wanted_;
    has_table_ = true;
    send(order);
}

void EdgeProcess::send(const wire::EdgeOrder& order) {
    channel_->send(order.SerializeAsString());
}

void EdgeProcess::on_frame(core::BytesView frame, net::FrameChannel::Descriptors&) {
    wire::EdgeReport report;
    if (!report.ParseFromArray(frame.data(), static_cast<int>(frame.size()))) return;
    if (report.has_hello()) {
        pid_ = static_cast<int>(report.hello().pid());
    } else if (report.has_applied()) {
        for (const std::string& problem : report.applied().problems())
            logger_.warning("the edge leaves something out", {{"what", problem}});
    } else if (report.has_refused()) {
        logger_.error("the edge refuses its table", {{"why", report.refused().reason()}});
        has_table_ = false;
        update(wire::EdgeTable(wanted_));
    }
}

void EdgeProcess::on_closed(const core::Error& why) {
    logger_.error("the edge has ended", {{"why", why.message}});
    loop_.post(
        [channel = std::shared_ptr<net::FrameChannel>(std::move(channel_))]() mutable { channel.reset(); },
        "edge");
    ::waitpid(std::exchange(pid_, 0), nullptr, WNOHANG);
    restart_later();
}

void EdgeProcess::restart_later() {
    if (stopped_) return;
    timer_ = loop_.start(
        kEdgeRestart,
        [this] {
            timer_ = 0;
            if (auto started = start(); !started) restart_later();
        },
        "edge");
}

void EdgeProcess::stop() {
    if (std::exchange(stopped_, true)) return;
    loop_.cancel(timer_);
    channel_.reset();
}

void EdgeProcess::end() {
    stop();
    const int pid = std::exchange(pid_, 0);
    if (pid <= 0) return;
    ::kill(pid, SIGTERM);
    const auto looks =
        std::chrono::duration_cast<std::chrono::microseconds>(kEdgeEndLimit).count() / kEndLookUs;
    for (int64_t look = 0; look < looks; ++look) {
        ::waitpid(pid, nullptr, WNOHANG);  // it may be another daemon's child
        if (::kill(pid, 0) != 0) return;
        ::usleep(kEndLookUs);
    }
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
}

}  // namespace smackd::cmd
