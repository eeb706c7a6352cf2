#include "services/api/feed_reader.h"

namespace smackd::services {

using core::Result;
using core::Revision;
using storage::feed::Filter;
using storage::feed::Hub;
using storage::feed::RecordPtr;

namespace {

constexpr size_t kDrainCount = 1024;
constexpr core::seconds kSubscribeAgain{
    1};  ///< after the hub refused us (its limit, or the state being replaced)

}  // namespace

Result<std::unique_ptr<FeedReader>> FeedReader::open(net::Loop& loop, Hub& hub, Revision from,
                                                     Filter filter) {
    auto signal = std::make_shared<Signal>(loop);
    std::unique_ptr<FeedReader> reader(new FeedReader(signal));
    // On the publishing thread: nothing but a post. The signal may be gone when that runs.
    auto notify = [&loop, weak = std::weak_ptr(signal)] {
        loop.post(
            [weak] {
                if (const auto alive = weak.lock()) alive->changed.set();
            },
            "feed");
    };
    TRY_ASSIGN(reader->watch_, hub.watch(from, std::move(filter), std::move(notify)));
    return reader;
}

net::Task<Result<std::vector<RecordPtr>>> FeedReader::next(size_t count) {
    while (true) {
        signal_->changed.reset();
        auto taken = watch_->take(count);
        if (!taken || !taken->empty()) co_return taken;
        CO_TRY(co_await signal_->changed.wait());
    }
}

net::Task<Result<void>> wait_for_revision(net::Loop& loop, Hub& hub, Revision revision) {
    // Shared with the hub's callback, which may be on its way when the waiter has given up.
    auto reached = std::make_shared<net::Event>(loop);
    auto done = [&loop, weak = std::weak_ptr(reached)](Result<Revision>) {
        loop.post(
            [weak] {
                if (const auto alive = weak.lock()) alive->set();
            },
            "revision");
    };
    CO_TRY_ASSIGN(const Hub::WaitId id, hub.wait(revision, std::move(done)));
    auto waited = co_await reached->wait();
    hub.cancel(id);
    if (!waited) co_return core::pass(std::move(waited));
    if (hub.head() < revision || hub.head().epoch != revision.epoch) {
        co_return core::fail(core::Errc::kConflict, "the state was replaced; list again");
    }
    co_return Result<void>();
}

struct FeedListener::Shared {
    net::Loop& loop;
    Hub& hub;
    std::vector<std::string> kinds;
    core::Callback<void()> changed;
    std::unique_ptr<storage::feed::Watch> watch = nullptr;
    bool closed = false;
};

FeedListener::FeedListener(net::Loop& loop, Hub& hub, std::vector<std::string> kinds,
                           core::Callback<void()> changed)
    : shared_(std::make_shared<Shared>(loop, hub, std::move(kinds), std::move(changed))) {
    drain(shared_);
}

FeedListener::~FeedListener() {
    shared_->closed = true;
    shared_->watch.reset();
}

void FeedListener::subscribe(const std::shared_ptr<Shared>& shared) {
    auto drain_if_alive = [weak = std::weak_ptr(shared)] {
        const auto alive = weak.lock();
        if (alive != nullptr && !alive->closed) drain(alive);
    };
    auto notify = [&loop = shared->loop, drain_if_alive] { loop.post(drain_if_alive, "feed"); };
    auto watch =
        shared->hub.watch(shared->hub.head(), {.kinds = shared->kinds, .key_prefix = {}}, std::move(notify));
    if (watch) {
        shared->watch = std::move(*watch);
    } else {
        shared->loop.start(kSubscribeAgain, drain_if_alive);
    }
}

/// Takes all there is, which also asks for the next wake-up.
void FeedListener::drain(const std::shared_ptr<Shared>& shared) {
    if (shared->watch == nullptr) subscribe(shared);
    shared->changed();
    while (shared->watch != nullptr) {
        auto taken = shared->watch->take(kDrainCount);
        if (taken && taken->empty()) return;
        if (taken) continue;
        // The state was replaced under us: what changed is unknown, so everything may have; watch anew.
        shared->watch.reset();
        subscribe(shared);
    }
}

}  // namespace smackd::services
