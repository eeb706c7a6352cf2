#include "cmd/smackd/node/loop_thread.h"

#include <pthread.h>

namespace smackd::cmd {

LoopThread::LoopThread(std::string name, core::Logger logger) : loop_(name, std::move(logger)) {
    thread_ = std::thread([this, name = name.substr(0, 15)] {
        ::pthread_setname_np(::pthread_self(), name.c_str());
        loop_.run();
    });
}

LoopThread::~LoopThread() {
    stop();
}

void LoopThread::stop() {
    if (!thread_.joinable()) return;
    loop_.stop();
    thread_.join();
}

}  // namespace smackd::cmd
