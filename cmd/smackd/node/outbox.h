// What waits to be sent over a stream that the other end has opened.
#pragma once

#include <deque>

#include "net/rpc/rpc.h"
#include "net/sync.h"

namespace smackd::cmd {

/// One loop's thread.
class Outbox {
 public:
    explicit Outbox(net::Loop& loop) : changed_(loop) {}

    size_t size() const { return items_.size(); }
    void drop_oldest() { items_.pop_front(); }
    void put(core::Bytes item) {
        items_.push_back(std::move(item));
        changed_.set();
    }
    /// Sends what is put until the stream ends, which is returned.
    net::Task<core::Result<void>> send_to(net::rpc::ItemWriter& out) {
        core::Result<void> going;
        while (going) {
            going = co_await changed_.wait();
            changed_.reset();
            while (going && !items_.empty()) {
                core::Bytes item = std::move(items_.front());
                items_.pop_front();
                going = co_await out.send(std::move(item));
            }
        }
        co_return going;
    }

 private:
    std::deque<core::Bytes> items_;
    net::Event changed_;
};

}  // namespace smackd::cmd
