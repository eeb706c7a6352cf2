#include "cmd/smackd/client/console.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace smackd::cmd {
namespace {

constexpr size_t kEventsMax = 3;  // one of each kind

sigset_t watched_signals() {
    sigset_t set;
    ::sigemptyset(&set);
    for (int number : {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGWINCH}) ::sigaddset(&set, number);
    return set;
}

}  // namespace

TerminalSize terminal_size() {
    for (const int fd : {STDOUT_FILENO, STDIN_FILENO}) {
        winsize size{};
        if (::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0)
            return {size.ws_row, size.ws_col};
    }
    return {};
}

RawMode::RawMode() {
    if (::tcgetattr(STDIN_FILENO, &before_) != 0) return;
    termios raw = before_;
    ::cfmakeraw(&raw);
    changed_ = ::tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
}

RawMode::~RawMode() {
    if (changed_) ::tcsetattr(STDIN_FILENO, TCSADRAIN, &before_);
}

struct Console::Told {
    explicit Told(net::Loop& loop) : events(loop, kEventsMax), stop(loop) {}
    net::Queue<ConsoleEvent> events;
    net::Event stop;
    int signal = 0;
    bool resized = false;  // a resize waits to be taken: the size is looked up then
};

void Console::block_signals() {
    const sigset_t set = watched_signals();
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

Console::Console(net::Loop& loop) : loop_(loop), told_(std::make_shared<Told>(loop)) {
    const sigset_t set = watched_signals();
    signals_ = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    thread_ = std::thread([this] { watch(); });
}

Console::~Console() {
    closing_ = true;
    ::eventfd_write(wake_, 1);
    thread_.join();
    ::close(signals_);
    ::close(wake_);
}

void Console::begin(bool read_input) {
    begun_ = true;
    wanted_ = read_input;
    ::eventfd_write(wake_, 1);
}

void Console::watch() {
    bool ended = false;
    while (!closing_) {
        std::array<pollfd, 3> fds{pollfd{signals_, POLLIN, 0}, pollfd{wake_, POLLIN, 0},
                                  pollfd{wanted_ && !ended ? STDIN_FILENO : -1, POLLIN, 0}};
        if (::poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR) return;
        if (fds[0].revents != 0) read_signal();
        eventfd_t woken = 0;
        if (fds[1].revents != 0) ::eventfd_read(wake_, &woken);
        ended = ended || (fds[2].revents != 0 && !read_piece());
    }
}

/// False at the end of input.
bool Console::read_piece() {
    std::string piece(kConsolePieceBytesMax, '\0');
    const ssize_t count = ::read(STDIN_FILENO, piece.data(), piece.size());
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) return true;
    if (count <= 0) {
        tell({ConsoleEvent::Kind::kEndOfInput});
        return false;
    }
    piece.resize(static_cast<size_t>(count));
    wanted_ = false;
    tell({ConsoleEvent::Kind::kInput, std::move(piece)});
    return true;
}

void Console::read_signal() {
    signalfd_siginfo info{};
    if (::read(signals_, &info, sizeof(info)) != sizeof(info)) return;
    const auto number = static_cast<int>(info.ssi_signo);
    if (number != SIGWINCH && !begun_) ::_exit(kSignalExitBase + number);
    if (number == SIGWINCH) return tell({ConsoleEvent::Kind::kResized});
    loop_.post([told = told_, number] {
        told->signal = number;
        told->stop.set();
    });
}

void Console::tell(ConsoleEvent event) {
    loop_.post([told = told_, event = std::move(event)]() mutable {
        if (event.kind == ConsoleEvent::Kind::kResized && std::exchange(told->resized, true)) return;
        const bool put = told->events.try_push(std::move(event));
        SMACK_ASSERT(put);  // there is room for one of each kind
    });
}

net::Task<core::Result<ConsoleEvent>> Console::next() {
    if (std::exchange(taken_, false)) {
        wanted_ = true;
        ::eventfd_write(wake_, 1);
    }
    CO_TRY_ASSIGN(ConsoleEvent event, co_await told_->events.pop());
    taken_ = event.kind == ConsoleEvent::Kind::kInput;
    if (event.kind == ConsoleEvent::Kind::kResized) told_->resized = false;
    co_return event;
}

net::Task<core::Result<int>> Console::stopped() {
    CO_TRY(co_await told_->stop.wait());
    co_return told_->signal;
}

}  // namespace smackd::cmd
