// Checkpoints beside the thread that applies, as in production.
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "core/executor.h"
#include "tests/unit/storage/state/machine.h"

namespace smackd::storage::state {
namespace {

using test::Server;

/// A thread that works; what is done is told when the owner asks.
class Beside final : public core::Executor {
 public:
    ~Beside() override {
        {
            const std::scoped_lock lock(mutex_);
            stopping_ = true;
        }
        changed_.notify_all();
        thread_.join();
    }
    void submit(core::Callback<void()> work, core::Callback<void()> done) override {
        const std::scoped_lock lock(mutex_);
        waiting_.push_back({std::move(work), std::move(done)});
        changed_.notify_all();
    }
    /// Runs the callbacks of what has ended. How many there were.
    size_t tell() {
        std::deque<core::Callback<void()>> ended;
        {
            const std::scoped_lock lock(mutex_);
            ended.swap(ended_);
        }
        for (auto& done : ended) done();
        return ended.size();
    }
    void wait_idle() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return waiting_.empty() && !working_; });
    }

 private:
    struct Job {
        core::Callback<void()> work;
        core::Callback<void()> done;
    };
    void run() {
        std::unique_lock lock(mutex_);
        while (true) {
            changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
            if (stopping_) return;
            Job job = std::move(waiting_.front());
            waiting_.pop_front();
            working_ = true;
            lock.unlock();
            job.work();
            lock.lock();
            working_ = false;
            ended_.push_back(std::move(job.done));
            changed_.notify_all();
        }
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Job> waiting_;
    std::deque<core::Callback<void()>> ended_;
    bool working_ = false;
    bool stopping_ = false;
    std::thread thread_{[this] { run(); }};
};

wire::Command numbered(int number) {
    wire::Command one = test::put_setting("k" + std::to_string(number % 50), std::string(1500, 'v'));
    if (number % 20 == 0) test::principal(one, "p" + std::to_string(number) + "@EXAMPLE.COM");
    if (number % 30 == 0) test::secret(one, "s" + std::to_string(number), "sealed");
    return one;
}

TEST_CASE("checkpoints on a thread of their own change nothing that is applied meanwhile") {
    constexpr int kEntries = 600;
    Server reference;
    Beside beside;
    Server server;
    server.stop();
    server.checkpoints = &beside;
    server.restart();
    size_t ended = 0;
    for (int i = 0; i < kEntries; ++i) {
        reference.ok(numbered(i));
        server.ok(numbered(i));
        ended += beside.tell();
    }
    beside.wait_idle();
    ended += beside.tell();
    CHECK(ended > 3);
    CHECK(server.digest() == reference.digest());
    CHECK(server.machine().check_integrity().has_value());
    SECTION("and a restart finds everything") {
        server.restart();
        CHECK(server.machine().damage().empty());
        CHECK(server.index() == kEntries);
        CHECK(server.digest() == reference.digest());
    }
    SECTION("and a power cut costs the tail at most") {
        server.crash();
        CHECK(server.machine().damage().empty());
        for (int i = static_cast<int>(server.index()); i < kEntries; ++i) server.ok(numbered(i));
        CHECK(server.digest() == reference.digest());
    }
    server.stop();
}

TEST_CASE("readers, checkpoints and the writer run beside each other") {
    Beside beside;
    Server server;
    server.stop();
    server.checkpoints = &beside;
    server.restart();
    std::atomic<bool> over = false;
    std::atomic<int> reads = 0;
    std::atomic<int> wrong = 0;
    std::thread reading([&] {
        while (!over) {
            auto reader =
                sqlite::Database::open(*server.vfs, "/data/state/state.db", sqlite::Access::kReadOnly);
            // A WAL index that has to be made anew is the writer's to make: a moment later it is there.
            if (!reader) continue;
            const auto rows = reader->integer("SELECT count(*) FROM settings");
            if (!rows && rows.error().code != core::Errc::kBusy) ++wrong;
            if (rows) ++reads;
        }
    });
    for (int i = 0; i < 300; ++i) {
        server.ok(numbered(i));
        beside.tell();
    }
    while (reads < 5) std::this_thread::yield();
    over = true;
    reading.join();
    CHECK(wrong == 0);
    beside.wait_idle();
    server.stop();
}

TEST_CASE("a machine that ends or is reset while a checkpoint runs leaves nothing behind") {
    Beside beside;
    Server server;
    server.stop();
    server.checkpoints = &beside;
    for (int round = 0; round < 10; ++round) {
        server.restart();
        for (int i = 0; i < 40; ++i) server.ok(numbered(i));
        if (round % 2 == 0) {
            REQUIRE(server.machine().reset());
            CHECK(server.machine().applied() == core::Index{0});
        }
        server.stop();
        beside.wait_idle();
        beside.tell();  // the callback finds nobody
    }
    server.restart();
    CHECK(server.machine().damage().empty());
    server.stop();
}

}  // namespace
}  // namespace smackd::storage::state
