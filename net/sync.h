// Event, Semaphore, Queue: how tasks of one loop wait for each other. Loop thread only.
#pragma once

#include <deque>
#include <list>
#include <optional>

#include "net/loop.h"
#include "net/task.h"
#include "net/wait.h"

namespace smackd::net {

/// A list of suspended tasks, woken in order.
class WaitList {
 public:
    explicit WaitList(Loop& loop) : loop_(loop) {}
    ~WaitList() { SMACK_ASSERT(waiting_.empty()); }
    WaitList(const WaitList&) = delete;
    WaitList& operator=(const WaitList&) = delete;

    /// Suspends until woken or cancelled.
    Task<core::Result<void>> wait();
    /// False when nobody waited. The one woken goes on even when it is cancelled before it runs.
    bool wake_one();
    void wake_all();
    bool empty() const { return waiting_.empty(); }

 private:
    Loop& loop_;
    std::list<Wait<void>*> waiting_;
};

/// Set once (or again after reset); all waiters go on.
class Event {
 public:
    explicit Event(Loop& loop) : waiters_(loop) {}
    void set() {
        set_ = true;
        waiters_.wake_all();
    }
    void reset() { set_ = false; }
    bool is_set() const { return set_; }
    Task<core::Result<void>> wait();

 private:
    WaitList waiters_;
    bool set_ = false;
};

/// `count` permits; acquire waits for one. Fair.
class Semaphore {
 public:
    Semaphore(Loop& loop, size_t count) : waiters_(loop), free_(count) {}
    Task<core::Result<void>> acquire();
    bool try_acquire();
    void release();

    /// Releases at the end of a block: `auto permit = Semaphore::Permit(semaphore);` after an acquire.
    class Permit {
     public:
        explicit Permit(Semaphore& of) : of_(&of) {}
        Permit(Permit&& other) noexcept : of_(std::exchange(other.of_, nullptr)) {}
        Permit(const Permit&) = delete;
        Permit& operator=(const Permit&) = delete;
        ~Permit() {
            if (of_ != nullptr) of_->release();
        }

     private:
        Semaphore* of_;
    };

 private:
    WaitList waiters_;
    size_t free_;
};

/// A bounded queue between tasks. After close() pushes are refused and pops drain what is left.
template <class T>
class Queue {
 public:
    Queue(Loop& loop, size_t capacity) : readers_(loop), writers_(loop), capacity_(capacity) {}

    /// False when full or closed; never waits.
    bool try_push(T value) {
        if (closed_ || items_.size() >= capacity_) return false;
        items_.push_back(std::move(value));
        readers_.wake_one();
        return true;
    }
    /// Waits for room; kCancelled when closed.
    Task<core::Result<void>> push(T value) {
        while (!closed_ && items_.size() >= capacity_) {
            auto woken = co_await writers_.wait();
            if (!woken) co_return std::unexpected(std::move(woken.error()));
        }
        if (closed_) co_return core::fail(core::Errc::kCancelled, "the queue is closed");
        items_.push_back(std::move(value));
        readers_.wake_one();
        co_return core::Result<void>();
    }
    /// Waits for an item; kCancelled when closed and empty.
    Task<core::Result<T>> pop() {
        while (items_.empty()) {
            if (closed_) co_return core::fail(core::Errc::kCancelled, "the queue is closed");
            auto woken = co_await readers_.wait();
            if (!woken) co_return std::unexpected(std::move(woken.error()));
        }
        co_return take();
    }
    std::optional<T> try_pop() {
        if (items_.empty()) return std::nullopt;
        return take();
    }
    void close() {
        closed_ = true;
        readers_.wake_all();
        writers_.wake_all();
    }
    size_t size() const { return items_.size(); }
    size_t capacity() const { return capacity_; }
    bool closed() const { return closed_; }

 private:
    T take() {
        T value = std::move(items_.front());
        items_.pop_front();
        writers_.wake_one();
        if (!items_.empty()) readers_.wake_one();  // a woken reader may have been cancelled meanwhile
        return value;
    }

    WaitList readers_;
    WaitList writers_;
    std::deque<T> items_;
    size_t capacity_;
    bool closed_ = false;
};

}  // namespace smackd::net
