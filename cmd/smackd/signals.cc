#include "cmd/smackd/signals.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

namespace smackd::cmd {
namespace {

sigset_t stop_signals() {
    sigset_t set;
    ::sigemptyset(&set);
    for (int number : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&set, number);
    return set;
}

}  // namespace

void block_stop_signals() {
    sigset_t set = stop_signals();
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

int wait_for_stop_signal() {
    sigset_t set = stop_signals();
    int number = 0;
    while (::sigwait(&set, &number) != 0) {
    }
    return number;
}

void send_stop_signal() {
    ::kill(::getpid(), SIGTERM);
}

bool stop_signal_pending() {
    sigset_t pending;
    ::sigpending(&pending);
    for (int number : {SIGTERM, SIGINT, SIGHUP}) {
        if (::sigismember(&pending, number) == 1) return true;
    }
    return false;
}

}  // namespace smackd::cmd
