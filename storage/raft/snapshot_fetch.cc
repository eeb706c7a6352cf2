#include "storage/raft/snapshot_fetch.h"

#include <algorithm>

namespace smackd::storage {

SnapshotFetch::SnapshotFetch(SnapshotStore& store, core::Executor& executor, core::Timers& timers,
                             core::Logger logger, Events events)
    : store_(store),
      executor_(executor),
      timers_(timers),
      logger_(std::move(logger)),
      events_(std::move(events)) {}

SnapshotFetch::~SnapshotFetch() {
    *alive_ = false;
    timers_.cancel(timer_);
}

void SnapshotFetch::offer(core::NodeId from, core::Term term, const wire::SnapshotManifest& manifest) {
    from_ = from;
    term_ = term;
    if (manifest_ && manifest_->index() == manifest.index() && manifest_->term() == manifest.term()) return;
    if (manifest_ && manifest_->index() > manifest.index()) return;
    ++generation_;
    timers_.cancel(timer_);
    timer_ = 0;
    manifest_ = std::make_shared<const wire::SnapshotManifest>(manifest);
    if (in_store()) return copy();
    logger_.info("fetching snapshot", {{"index", manifest.index()}, {"from", from.value}});
    begin();
}

void SnapshotFetch::run(core::Callback<core::Result<void>()> work, core::Callback<void()> done) {
    struct Job {
        core::Callback<core::Result<void>()> work;
        core::Callback<void()> done;
        core::Result<void> outcome;
    };
    auto job = std::make_shared<Job>();
    job->work = std::move(work);
    job->done = std::move(done);
    executor_.submit([job] { job->outcome = job->work(); },
                     [this, job, alive = alive_, generation = generation_] {
                         if (!*alive || generation != generation_) return;
                         if (!job->outcome) return drop(job->outcome.error());
                         if (refused_) {
                             refused_ = false;
                             events_.condition(nullptr);
                         }
                         job->done();
                     });
}

void SnapshotFetch::begin() {
    have_ = std::make_shared<std::vector<uint32_t>>();
    run(
        [&store = store_, manifest = manifest_, have = have_]() -> core::Result<void> {
            TRY_ASSIGN(*have, store.begin_incoming(*manifest));
            return {};
        },
        [this] {
            file_ = 0;
            chunk_ = have_->front();
            request_next();
        });
}

void SnapshotFetch::request_next() {
    while (chunk_ >= static_cast<uint32_t>(manifest_->files(static_cast<int>(file_)).chunk_crc32c_size())) {
        if (++file_ >= static_cast<uint32_t>(manifest_->files_size())) return finish();
        chunk_ = (*have_)[file_];
    }
    tries_ = 0;
    ask();
}

void SnapshotFetch::ask() {
    if (++tries_ > kChunkTriesMax)
        return drop(core::Error{core::Errc::kTimeout, "the leader sends no chunks", 0});
    waiting_ = true;
    wire::RaftMessage message;
    wire::ChunkRequest& request = *message.mutable_chunk_request();
    request.set_index(manifest_->index());
    request.set_term(manifest_->term());
    request.set_file(file_);
    request.set_chunk(chunk_);
    events_.send(from_, message);
    timers_.cancel(timer_);
    timer_ = timers_.start(kChunkRetry, [this] {
        timer_ = 0;
        if (waiting_) ask();
    });
}

void SnapshotFetch::receive(core::NodeId from, wire::ChunkReply& reply) {
    const bool expected = manifest_ && waiting_ && from == from_ && reply.index() == manifest_->index() &&
                          reply.term() == manifest_->term() && reply.file() == file_ &&
                          reply.chunk() == chunk_;
    if (!expected) return;
    waiting_ = false;
    timers_.cancel(timer_);
    timer_ = 0;
    if (reply.missing()) return drop(core::Error{core::Errc::kNotFound, "the leader no longer has it", 0});
    ++chunks_received_;
    store_chunk(std::move(*reply.mutable_data()));
}

void SnapshotFetch::store_chunk(core::Bytes data) {
    auto bytes = std::make_shared<const core::Bytes>(std::move(data));
    run([&store = store_, manifest = manifest_, bytes, file = file_,
         chunk = chunk_] { return store.put_chunk(*manifest, file, chunk, *bytes); },
        [this] {
            ++chunk_;
            request_next();
        });
}

void SnapshotFetch::finish() {
    run([&store = store_, manifest = manifest_] { return store.finish_incoming(*manifest); },
        [this] {
            store_.adopt(*manifest_);
            logger_.info("snapshot is here", {{"index", manifest_->index()}});
            copy();
        });
}

bool SnapshotFetch::in_store() const {
    return std::ranges::any_of(store_.list(), [&](const wire::SnapshotManifest& other) {
        return other.index() == manifest_->index() && other.term() == manifest_->term();
    });
}

/// The state machine takes its files away and the store keeps its own.
void SnapshotFetch::copy() {
    auto folder = std::make_shared<std::string>();
    run(
        [&store = store_, manifest = manifest_, folder]() -> core::Result<void> {
            TRY_ASSIGN(*folder, store.copy_for_install(*manifest, "fetched"));
            return {};
        },
        [this, folder] {
            const auto manifest = std::exchange(manifest_, nullptr);
            ++generation_;
            events_.ready(from_, term_, *manifest, *folder);
        });
}

void SnapshotFetch::not_needed() {
    if (!refused_ || active()) return;
    refused_ = false;
    events_.condition(nullptr);
}

/// The leader offers again at its next heartbeat; what is here already is used then.
void SnapshotFetch::drop(const core::Error& error) {
    logger_.warning("snapshot not fetched, waiting for the next offer", {{"reason", error.to_string()}});
    ++generation_;
    if (error.code == core::Errc::kCorrupt && in_store()) {
        if (auto removed = store_.remove(*manifest_); !removed)
            logger_.warning("damaged snapshot stays", {{"reason", removed.error().message}});
    }
    manifest_ = nullptr;
    waiting_ = false;
    timers_.cancel(timer_);
    timer_ = 0;
    const bool disk = error.code == core::Errc::kDiskFull || error.code == core::Errc::kIo;
    if (!disk) return;
    refused_ = true;
    events_.condition(&error);
}

}  // namespace smackd::storage
