#include "cmd/smackd/node/state_copy.h"

#include "core/wire/agent.pb.h"
#include "net/scope.h"

namespace smackd::cmd {

using core::Errc;
using core::Result;
using net::Task;

namespace {

template <class Put>
Result<std::vector<Put>> decode(const std::vector<wire::AgentRow>& rows) {
    std::vector<Put> all;
    for (const wire::AgentRow& row : rows) {
        Put put;
        if (!put.ParseFromString(row.row()))
            return core::fail(Errc::kCorrupt, "agent's copy: the {} '{}' cannot be read", row.kind(),
                              row.key());
        all.push_back(std::move(put));
    }
    return all;
}

bool of_registry(const StateChange& change) {
    return change.touches("machine") || change.touches("node") || change.touches("cluster");
}

}  // namespace

std::string agent_database_path(const std::string& data_directory) {
    return data_directory + "/agent.db";
}

Result<std::unique_ptr<StateCopy>> StateCopy::open(Parts parts) {
    std::unique_ptr<StateCopy> made(new StateCopy(std::move(parts)));
    TRY(made->open_copy());
    return made;
}

Result<void> StateCopy::open_copy() {
    copy_.reset();  // of a damaged file
    TRY_ASSIGN(copy_, storage::agent::AgentCopy::open(parts_.disk, parts_.vfs, parts_.path, parts_.owner,
                                                      parts_.logger));
    TRY_ASSIGN(registry_, read_registry());
    position_ = copy_->position();
    return {};
}

Result<std::shared_ptr<const auth::Registry>> StateCopy::read_registry() {
    auth::Registry::Rows rows;
    TRY_ASSIGN(const auto cluster_rows, copy_->rows("cluster"));
    TRY_ASSIGN(const auto cluster, decode<wire::InitCluster>(cluster_rows));
    if (cluster.empty()) return nullptr;
    rows.cluster_id = cluster.front().cluster_id();
    rows.revision = copy_->position();
    TRY_ASSIGN(const auto machines, copy_->rows("machine"));
    TRY_ASSIGN(rows.machines, decode<wire::PutMachine>(machines));
    TRY_ASSIGN(const auto nodes, copy_->rows("node"));
    TRY_ASSIGN(rows.nodes, decode<wire::PutNode>(nodes));
    return std::make_shared<const auth::Registry>(std::move(rows));
}

Task<void> StateCopy::follow(net::rpc::RpcClient& client) {
    unfit_.reset();
    while (!client.broken() && !unfit_) {
        if (!copy_) co_await recover(Errc::kCorrupt);
        wire::AgentFeedRequest request;
        request.set_epoch(position_.epoch);
        request.set_revision(position_.number);
        auto items = co_await client.open("feed", request.SerializeAsString());
        if (!items) co_return;
        auto ended = co_await take(**items);
        const core::Error why =
            ended ? core::Error{Errc::kUnavailable, "the server ended it", 0} : ended.error();
        if (why.code == Errc::kCancelled || client.broken()) break;
        if (why.code == Errc::kDiskFull || why.code == Errc::kIo)
            parts_.logger.error("alarm agent's copy", {{"what", why.message}});
        parts_.logger.warning("feed ended", {{"why", why.message}});
        if (why.code == Errc::kDenied || why.code == Errc::kUnavailable || why.code == Errc::kInvalid)
            unfit_ = why;
        co_await recover(why.code);
        if (unfit_) co_return;
        auto slept = co_await net::sleep(parts_.loop, kFeedAgain);
        if (!slept) break;
    }
    if (copy_) copy_->abandon();
}

// What cannot be written now (disk full) is asked for again from the place that is on disk.
Task<void> StateCopy::recover(Errc why) {
    if (copy_) copy_->abandon();
    anew_ = false;
    if (why != Errc::kCorrupt) co_return;
    auto opened = co_await parts_.workers.run<bool>(
        parts_.loop, [this]() -> Result<bool> { return open_copy().transform([] { return true; }); });
    if (!opened) parts_.logger.error("alarm agent's copy", {{"what", opened.error().message}});
}

Task<Result<void>> StateCopy::take(net::rpc::ItemReader& items) {
    while (true) {
        CO_TRY_ASSIGN(auto bytes, co_await items.next());
        if (!bytes) co_return Result<void>();
        wire::AgentFeedItem item;
        if (!item.ParseFromString(*bytes))
            co_return core::fail(Errc::kInvalid, "the server's feed is none: no wire.AgentFeedItem");
        CO_TRY(co_await apply(std::move(item)));
    }
}

Task<Result<void>> StateCopy::apply(wire::AgentFeedItem item) {
    StateChange change;
    change.position = {item.epoch(), item.revision()};
    for (const wire::AgentRow& row : item.rows()) change.kinds.insert(row.kind());
    if (item.snapshot()) anew_ = true;
    change.everything = anew_;
    std::shared_ptr<const auth::Registry> registry;
    const bool read = of_registry(change);
    CO_TRY_ASSIGN(const bool moved, co_await parts_.workers.run<bool>(parts_.loop, [&]() -> Result<bool> {
        TRY_ASSIGN(const bool done, copy_->apply(item));
        if (done && read) {
            TRY_ASSIGN(registry, read_registry());
        }
        return done;
    }));
    if (!moved) co_return Result<void>();
    anew_ = false;
    position_ = change.position;
    if (!change.everything) change.rows.assign(item.mutable_rows()->begin(), item.mutable_rows()->end());
    if (read) registry_ = std::move(registry);
    if (changed_ && (change.everything || !change.kinds.empty())) changed_(change);
    co_return Result<void>();
}

}  // namespace smackd::cmd
