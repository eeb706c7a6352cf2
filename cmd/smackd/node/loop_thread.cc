#include "cmd/smackd/node/loop_thread.h"

#include <pthread.h>

namespace smackd::cmd {

LoopThread::LoopThread(std::string name, core::Logger logger)
    : name_(std::move(name)), loop_(name_, std::move(logger)) {}

void LoopThread::start() {
    thread_ = std::thread([this] {
        ::pthread_setname_np(::pthread_self(), name_.substr(0, 15).c_str());
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
