#include "storage/feed/hub.h"

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <thread>

#include "storage/state/reader.h"
#include "tests/unit/storage/state/machine.h"

namespace smackd::storage::feed {
namespace {

using core::Errc;
using core::Revision;

RecordPtr record(uint64_t number, const std::string& kind = "setting", const std::string& key = "k") {
    auto made = std::make_shared<Record>();
    made->revision = {1, number};
    made->kind = kind;
    made->key = key;
    made->encoded = "x";
    return made;
}

/// A hub that has published revisions 1 to `head`.
struct Filled {
    explicit Filled(uint64_t head, HubLimits limits = {}) : hub(limits, metrics) {
        hub.reset({1, 0}, 0);
        for (uint64_t i = 1; i <= head; ++i) publish(i);
    }
    void publish(uint64_t number, const std::string& kind = "setting", const std::string& key = "k") {
        hub.publish({record(number, kind, key)}, {1, number}, 0);
    }
    core::MetricRegistry metrics;
    Hub hub;
};

std::vector<uint64_t> numbers(const core::Result<std::vector<RecordPtr>>& records) {
    REQUIRE(records);
    std::vector<uint64_t> found;
    for (const RecordPtr& one : *records) found.push_back(one->revision.number);
    return found;
}

TEST_CASE("a watch gets each change once, in order, and is woken once when it has none") {
    Filled filled(3);
    int wakes = 0;
    auto watch = filled.hub.watch({1, 1}, {}, [&] { ++wakes; });
    REQUIRE(watch);
    CHECK(numbers((*watch)->take(1)) == std::vector<uint64_t>{2});
    CHECK((*watch)->position() == Revision{1, 2});
    CHECK(numbers((*watch)->take(10)) == std::vector<uint64_t>{3});
    filled.publish(4);
    CHECK(wakes == 0);  // not asked for yet: it has not seen an empty take
    CHECK(numbers((*watch)->take(10)) == std::vector<uint64_t>{4});
    CHECK(numbers((*watch)->take(10)).empty());
    filled.publish(5);
    filled.publish(6);
    CHECK(wakes == 1);
    CHECK(numbers((*watch)->take(10)) == std::vector<uint64_t>{5, 6});
}

TEST_CASE("filters: kinds, prefix, predicate; nothing for it means no wake-up") {
    Filled filled(0);
    int wakes = 0;
    Filter filter{{"user", "group"}, "a", [](const Record& one) { return one.key != "ax"; }};
    auto watch = filled.hub.watch({1, 0}, filter, [&] { ++wakes; });
    CHECK(numbers((*watch)->take(10)).empty());
    filled.publish(1, "setting", "a1");
    filled.publish(2, "user", "b1");
    CHECK(wakes == 0);
    CHECK((*watch)->position() == Revision{1, 2});
    filled.publish(3, "user", "ax");
    CHECK(wakes == 1);
    CHECK(numbers((*watch)->take(10)).empty());
    filled.publish(4, "group", "a2");
    CHECK(wakes == 2);
    CHECK(numbers((*watch)->take(10)) == std::vector<uint64_t>{4});
}

TEST_CASE("places that cannot be watched from") {
    Filled filled(5);
    filled.hub.publish({record(6)}, {1, 6}, 3);
    CHECK(filled.hub.watch({2, 4}, {}, nullptr).error().code == Errc::kConflict);
    CHECK(filled.hub.watch({1, 2}, {}, nullptr).error().message.contains("compacted"));
    CHECK(filled.hub.watch({1, 7}, {}, nullptr).error().code == Errc::kConflict);
    CHECK(filled.hub.watch({1, 3}, {}, nullptr).has_value());
    CHECK(filled.hub.floor() == Revision{1, 3});
}

TEST_CASE("a watch that is overtaken by compaction or a new epoch ends with the reason") {
    Filled filled(5, {.ring_records = 2});
    int wakes = 0;
    auto behind = filled.hub.watch({1, 0}, {}, nullptr);
    auto waiting = filled.hub.watch({1, 5}, {}, [&] { ++wakes; });
    CHECK(numbers((*waiting)->take(1)).empty());
    filled.hub.publish({record(6)}, {1, 6}, 4);
    CHECK((*behind)->take(1).error().message.contains("compacted"));
    CHECK(numbers((*waiting)->take(5)) == std::vector<uint64_t>{6});
    CHECK(numbers((*waiting)->take(5)).empty());
    auto raised = std::make_shared<Record>(*record(7));
    raised->revision = {2, 7};
    filled.hub.publish({raised}, {2, 7}, 6);
    CHECK(wakes == 2);
    CHECK((*waiting)->take(5).error().message.contains("epoch 2"));
}

TEST_CASE("a watcher too far behind is cut, one that only resumes from far back is not") {
    Filled filled(20, {.lag_max = 10});
    auto resumed = filled.hub.watch({1, 0}, {}, nullptr);
    auto slow = filled.hub.watch({1, 20}, {}, nullptr);
    CHECK(numbers((*slow)->take(1)).empty());
    for (uint64_t i = 21; i <= 31; ++i) filled.publish(i);
    const auto cut = (*slow)->take(1);
    REQUIRE_FALSE(cut);
    CHECK(cut.error().code == Errc::kBusy);
    CHECK(cut.error().message.contains("too slow"));
    CHECK(numbers((*resumed)->take(100)).size() == 31);
}

TEST_CASE("waiting for a revision") {
    Filled filled(3);
    std::vector<std::string> log;
    const auto note = [&](const char* name) {
        return [&log, name](core::Result<Revision> reached) {
            log.push_back(std::string(name) + (reached ? reached->to_string() : " refused"));
        };
    };
    CHECK(filled.hub.wait({1, 2}, note("a ")).has_value());
    const auto later = filled.hub.wait({1, 5}, note("b "));
    const auto cancelled = filled.hub.wait({1, 4}, note("c "));
    const auto never = filled.hub.wait({1, 99}, note("d"));
    CHECK(filled.hub.wait({2, 1}, note("e")).error().code == Errc::kConflict);
    filled.hub.cancel(*cancelled);
    filled.publish(4);
    filled.publish(5);
    CHECK(log == std::vector<std::string>{"a 1.3", "b 1.5"});
    filled.hub.reset({2, 5}, 5);
    CHECK(log.back() == "d refused");
    CHECK(later.has_value());
    CHECK(never.has_value());
}

TEST_CASE("limits") {
    Filled filled(1, {.watchers = 1, .waiters = 1});
    auto first = filled.hub.watch({1, 1}, {}, nullptr);
    CHECK(filled.hub.watch({1, 1}, {}, nullptr).error().code == Errc::kBusy);
    first->reset();
    CHECK(filled.hub.watch({1, 1}, {}, nullptr).has_value());
    CHECK(filled.hub.wait({1, 2}, [](core::Result<Revision>) {}).has_value());
    CHECK(filled.hub.wait({1, 2}, [](core::Result<Revision>) {}).error().code == Errc::kBusy);
}

TEST_CASE("the ring's past is read from state.db, across a restart and an install") {
    test::Server server;
    for (int i = 0; i < 30; ++i) server.ok(test::put_setting("a", std::to_string(i)));
    server.restart();
    server.hub().set_history(
        state::feed_history({"/data/state", *server.vfs, server.machine().generation()}));
    auto watch = server.hub().watch({1, 4}, {}, nullptr);
    REQUIRE(watch);
    server.ok(test::put_setting("a", "ring"));
    std::vector<uint64_t> seen;
    while (true) {
        const auto some = numbers((*watch)->take(7));
        if (some.empty()) break;
        seen.insert(seen.end(), some.begin(), some.end());
    }
    REQUIRE(seen.size() == 27);
    CHECK(seen.front() == 5);
    CHECK(seen.back() == 31);
    auto task = server.machine().begin_snapshot();
    REQUIRE(task->copy("/data/snap"));
    task->copy = nullptr;
    server.ok(test::put_setting("a", "lost by the install"));
    REQUIRE(server.machine().install_snapshot("/data/snap"));
    CHECK(numbers((*watch)->take(7)).empty());
    server.ok(test::put_setting("a", "again"));
    CHECK(numbers((*watch)->take(7)) == std::vector<uint64_t>{32});
    watch->reset();
}

TEST_CASE("many threads watch while one publishes") {
    Filled filled(0, {.ring_records = 100'000});
    constexpr uint64_t kChanges = 5'000;
    std::atomic<int> complete{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
        threads.emplace_back([&] {
            std::atomic<uint64_t> wakes{0};
            auto watch = filled.hub.watch({1, 0}, {}, [&] {
                wakes.fetch_add(1);
                wakes.notify_one();
            });
            uint64_t next = 1;
            while (next <= kChanges) {
                const uint64_t before = wakes.load();
                auto some = (*watch)->take(64);
                if (!some) return;
                if (some->empty()) wakes.wait(before);
                for (const RecordPtr& one : *some) {
                    if (one->revision.number != next++) return;
                }
            }
            complete.fetch_add(1);
        });
    }
    for (uint64_t i = 1; i <= kChanges; ++i) filled.publish(i);
    for (std::thread& thread : threads) thread.join();
    CHECK(complete.load() == 3);
}

}  // namespace
}  // namespace smackd::storage::feed
