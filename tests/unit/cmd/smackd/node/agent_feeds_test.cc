// A server's feeds and an agent's copy, over an RPC connection whose bytes are looked at.
#include "cmd/smackd/node/agent_feeds.h"

#include <catch2/catch_test_macros.hpp>

#include "cmd/smackd/node/state_copy.h"
#include "core/marathon/app_json.h"
#include "core/wire/app.pb.h"
#include "net/scope.h"
#include "net/socket.h"
#include "tests/unit/storage/state/machine.h"

namespace smackd::cmd {
namespace {

using core::Errc;
using core::NodeId;
using core::Result;
using core::Revision;
using net::Task;
using std::chrono::milliseconds;

constexpr uint64_t kAgent = 7;

/// Remembers what is written through it.
class Recorder final : public net::Stream {
 public:
    Recorder(std::unique_ptr<net::Stream> below, std::string& written)
        : below_(std::move(below)), written_(written) {}
    Task<Result<size_t>> read(char* buffer, size_t size) override { return below_->read(buffer, size); }
    Task<Result<void>> write(core::BytesView bytes) override {
        written_ += bytes;
        return below_->write(bytes);
    }
    Task<Result<void>> shutdown() override { return below_->shutdown(); }
    Task<void> close() override { return below_->close(); }
    const std::string& peer() const override { return below_->peer(); }

 private:
    std::unique_ptr<net::Stream> below_;
    std::string& written_;
};

AgentFeedLimits quick() {
    AgentFeedLimits limits;
    limits.item_bytes = 200;
    limits.slow = milliseconds(300);
    limits.place = milliseconds(50);
    limits.behind = milliseconds(50);
    return limits;
}

struct World {
    World() {
        state.hub().set_history(storage::state::feed_history(reader()));
        state.ok(test::init_cluster());
        wire::Command registry = test::command();
        test::machine(registry, "n1");
        state.ok(test::node(registry, 1, "n1"));
        rpc.on_stream("feed", [this](core::Bytes request, net::rpc::ItemWriter& out, const auto& caller) {
            return feeds.serve(caller.hello.node, std::move(request), out);
        });
        open_copy();
    }
    storage::state::ReaderOptions reader() {
        return {"/data/state", *state.vfs, state.machine().generation()};
    }
    void open_copy() {
        copy.reset();
        auto opened = StateCopy::open(
            {loop, workers, agent_disk, *agent_vfs, "/data/agent.db", {"abc123", NodeId{kAgent}}, {}});
        REQUIRE(opened);
        copy = std::move(*opened);
        copy->on_change([this](const StateChange& change) {
            snapshots += change.everything ? 1 : 0;
            ++changes;
        });
    }

    test::Server state;
    net::Loop loop{"test"};
    net::WorkerPool workers{"worker", 2, 64};
    AgentFeeds feeds{loop, workers, state.hub(), reader(), {}, quick()};
    net::rpc::RpcServer rpc{loop, {net::rpc::kProtocolVersion, "9", NodeId{1}}};
    net::Scope scope{loop};
    test::MemoryDisk agent_disk;
    std::unique_ptr<storage::sqlite::Vfs> agent_vfs = storage::sqlite::Vfs::over_disk(agent_disk);
    std::unique_ptr<StateCopy> copy;
    std::string wire;  ///< all that the server has written
    int snapshots = 0;
    int changes = 0;
};

Task<void> serve(World& world, std::unique_ptr<net::Stream> stream) {
    static_cast<void>(co_await world.rpc.serve(std::move(stream)));
}

Task<std::unique_ptr<net::rpc::RpcClient>> connect(World& world, uint32_t credit = kAgentStreamCredit) {
    auto ends = net::make_pair(world.loop);
    REQUIRE(ends);
    world.scope.spawn(serve(world, std::make_unique<Recorder>(std::move(ends->first), world.wire)));
    net::rpc::RpcLimits limits;
    limits.stream_credit = credit;
    auto client = co_await net::rpc::RpcClient::connect(
        world.loop, std::move(ends->second), {net::rpc::kProtocolVersion, "9", NodeId{kAgent}}, limits);
    REQUIRE(client);
    co_return std::move(*client);
}

Task<bool> until(World& world, core::Callback<bool()> reached) {
    for (int i = 0; i < 2000 && !reached(); ++i)
        static_cast<void>(co_await net::sleep(world.loop, milliseconds(5)));
    co_return reached();
}

Task<bool> at_head(World& world) {
    co_return co_await until(world, [&world] { return world.copy->position() == world.state.hub().head(); });
}

void put_node(World& world, uint64_t id) {
    wire::Command made = test::command();
    test::machine(made, "m" + std::to_string(id));
    world.state.ok(test::node(made, id, "m" + std::to_string(id)));
}

using Story = Task<void> (*)(World&);
Task<void> tell(World& world, Story story) {
    co_await story(world);
    co_await world.scope.close();
}
void run(Story story) {
    World world;
    net::block_on(world.loop, tell(world, story));
}

/// One stream, with the work of the story in the middle.
Task<void> with_stream(World& world, Story story) {
    auto client = co_await connect(world);
    net::Scope stream(world.loop);
    stream.spawn(world.copy->follow(*client));
    co_await story(world);
    co_await client->close();
    co_await stream.close();
}

Task<void> follows(World& world) {
    CHECK(co_await at_head(world));
    CHECK(world.snapshots == 1);
    REQUIRE(world.copy->registry());
    CHECK(world.copy->registry()->check(NodeId{1}));
    put_node(world, 2);
    CHECK(co_await at_head(world));
    CHECK(world.copy->registry()->check(NodeId{2}));
    wire::Command removal = test::command();
    removal.add_changes()->mutable_remove_node()->set_node_id(2);
    world.state.ok(removal);
    CHECK(co_await at_head(world));
    CHECK_FALSE(world.copy->registry()->check(NodeId{2}));
    CHECK(world.snapshots == 1);
}

TEST_CASE("an agent's copy begins with a snapshot and follows") {
    run([](World& world) { return with_stream(world, follows); });
}

Task<void> resumes(World& world) {
    co_await with_stream(world, follows);
    for (uint64_t id = 10; id < 40; ++id) put_node(world, id);
    world.open_copy();  // the agent's process was started anew
    CHECK(world.copy->registry()->check(NodeId{1}));
    co_await with_stream(world, [](World& again) -> Task<void> {
        CHECK(co_await at_head(again));
        CHECK(again.copy->registry()->check(NodeId{39}));
    });
    CHECK(world.snapshots == 1);
}

TEST_CASE("a restarted agent goes on from its place without a snapshot") {
    run(resumes);
}

void put_what_is_secret(World& world) {
    wire::Command made = test::as_user("markeractor");
    made.mutable_actor()->set_kind(wire::Actor::SYSTEM);
    made.mutable_actor()->set_door("markerdoor");
    test::user(made, "markeruser");
    test::group(made, "markergroup", {"markeruser"});
    test::rule(made, "markerrule", "group:markergroup", "view");
    test::setting(made, "markersetting", "markervalue");
    test::principal(made, "markerprincipal@EXAMPLE.COM");
    test::secret(made, "markersecret", "markersealed");
    auto* tokens = made.add_changes()->mutable_revoke_tokens();
    tokens->set_principal("markertoken@EXAMPLE.COM");
    tokens->set_issued_before_ms(1);
    test::machine(made, "n5");
    world.state.ok(test::node(made, 5, "n5"));
}

Task<void> tells_no_secret(World& world) {
    put_what_is_secret(world);
    co_await with_stream(world, [](World& inside) -> Task<void> {
        CHECK(co_await at_head(inside));  // all of it by a snapshot
        put_what_is_secret(inside);
        put_node(inside, 6);
        CHECK(co_await at_head(inside));  // and once more by changes
    });
    CHECK(world.snapshots == 1);
    CHECK(world.wire.contains("n5"));
    CHECK_FALSE(world.wire.contains("marker"));
}

TEST_CASE("nothing of people, rules, principals and secrets is in the bytes that an agent gets") {
    run(tells_no_secret);
}

Task<void> new_epoch(World& world) {
    CHECK(co_await at_head(world));
    wire::Command raise = test::command();
    raise.add_changes()->mutable_raise_epoch()->set_reason("recovered");
    world.state.ok(raise);
    CHECK(co_await at_head(world));
    CHECK(world.copy->position().epoch == 2);
    CHECK(world.snapshots == 2);
    CHECK(world.copy->registry()->epoch() == 2);
}

TEST_CASE("an epoch that is raised replaces the copy") {
    run([](World& world) { return with_stream(world, new_epoch); });
}

Task<void> place_is_told(World& world) {
    CHECK(co_await at_head(world));
    const int before = world.changes;
    world.state.ok(test::put_setting("colour", "red"));
    CHECK(co_await at_head(world));
    CHECK(world.changes == before);
}

TEST_CASE("changes that are not for an agent move its place only") {
    run([](World& world) { return with_stream(world, place_is_told); });
}

Task<Result<std::optional<core::Bytes>>> ask(net::rpc::RpcClient& client, Revision from) {
    wire::AgentFeedRequest request;
    request.set_epoch(from.epoch);
    request.set_revision(from.number);
    auto items = co_await client.open("feed", request.SerializeAsString());
    REQUIRE(items);
    co_return co_await (*items)->next();
}

Task<void> refusals(World& world) {
    auto client = co_await connect(world);
    auto older = co_await ask(*client, {9, 1});
    CHECK(older.error().code == Errc::kDenied);
    CHECK(older.error().message.contains("epoch 1"));
    auto behind = co_await ask(*client, {1, 1'000'000});
    CHECK(behind.error().code == Errc::kUnavailable);
    auto garbage = co_await client->open("feed", "\xff\xff");
    CHECK((co_await (*garbage)->next()).error().code == Errc::kInvalid);
    co_await client->close();
}

TEST_CASE("a server that is older or behind says so, and bad requests are refused") {
    run(refusals);
}

Task<void> too_slow(World& world) {
    auto client = co_await connect(world, 1);
    auto items = co_await client->open("feed", "");
    REQUIRE(items);
    for (uint64_t id = 10; id < 60; ++id) put_node(world, id);
    // It takes nothing: one item is on its way, and no more than that is sent.
    static_cast<void>(co_await net::sleep(world.loop, milliseconds(600)));
    const size_t sent = world.wire.size();
    CHECK(sent < 4096);
    Result<std::optional<core::Bytes>> item;
    do {
        item = co_await (*items)->next();
    } while (item && *item);
    CHECK(item.error().code == Errc::kTimeout);
    CHECK(item.error().message.contains("taking a part of the feed"));
    co_await client->close();
}

TEST_CASE("an agent that takes nothing is cut with the reason, and costs one item") {
    run(too_slow);
}

// ---- tasks and what they run

constexpr uint64_t kOther = 8;

wire::Command system_command() {
    wire::Command made = test::command();
    made.set_feature_level(storage::state::kFeatureLevelMax);
    return made;
}

void put_app(World& world, const std::string& id, int64_t version, int64_t config, const std::string& label) {
    auto json = core::Json::parse(R"({"id": ")" + id + R"(", "cmd": "marker of )" + id + R"("})");
    auto app = marathon::app_from_json(*json, {});
    REQUIRE(app);
    app->set_version_ms(version);
    app->set_config_version_ms(config);
    app->add_labels()->set_key("note");
    app->mutable_labels(0)->set_value(label);
    wire::Command made = system_command();
    *made.add_changes()->mutable_put_app()->mutable_app() = *app;
    world.state.ok(made);
}

void put_task(World& world, const std::string& id, const std::string& app, int64_t config, uint64_t node) {
    wire::Command made = system_command();
    wire::Task* task = made.add_changes()->mutable_put_task()->mutable_task();
    task->set_id(id);
    task->set_app_id(app);
    task->set_config_version_ms(config);
    task->set_node_id(node);
    world.state.ok(made);
}

void remove_task(World& world, const std::string& id) {
    wire::Command made = system_command();
    made.add_changes()->mutable_remove_task()->set_id(id);
    world.state.ok(made);
}

/// This agent's node, another one, and two apps.
void set_up_apps(World& world) {
    wire::Command raise = test::command();
    raise.add_changes()->mutable_raise_feature_level()->set_level(storage::state::kFeatureLevelMax);
    world.state.ok(raise);
    for (const uint64_t id : {kAgent, kOther}) {
        put_node(world, id);
        wire::Command capacity = system_command();
        auto* told = capacity.add_changes()->mutable_put_node_capacity()->mutable_capacity();
        told->set_node_id(id);
        told->mutable_total()->set_cpus_milli(8000);
        world.state.ok(capacity);
    }
    put_app(world, "/mine", 1, 1, "first");
    put_app(world, "/theirs", 1, 1, "first");
}

/// Keys of the copy's rows of a kind; of definitions with their label.
std::vector<std::string> has(World& world, const std::string& kind) {
    auto reader = storage::agent::AgentReader::open(*world.agent_vfs, "/data/agent.db");
    REQUIRE(reader);
    auto rows = reader->rows(kind);
    REQUIRE(rows);
    std::vector<std::string> keys;
    for (const wire::AgentRow& row : rows->rows) {
        wire::AppDefinition app;
        if (kind == "definition") REQUIRE(app.ParseFromString(row.row()));
        keys.push_back(row.key() + (kind == "definition" ? " " + app.labels(0).value() : ""));
    }
    return keys;
}
using Keys = std::vector<std::string>;

Task<void> definitions_follow(World& world) {
    set_up_apps(world);
    put_task(world, "t1", "/mine", 1, kAgent);
    put_task(world, "u1", "/theirs", 1, kOther);
    co_await with_stream(world, [](World& in) -> Task<void> {
        CHECK(co_await at_head(in));  // by a snapshot
        CHECK(has(in, "task") == Keys{"t1"});
        CHECK(has(in, "definition") == Keys{"/mine 1 first"});
        CHECK(has(in, "route") == Keys{"/mine", "/theirs"});
        put_app(in, "/mine", 2, 1, "second");  // what only describes changes for tasks that run
        put_app(in, "/theirs", 2, 1, "second");
        put_task(in, "u2", "/theirs", 1, kOther);
        CHECK(co_await at_head(in));
        CHECK(has(in, "definition") == Keys{"/mine 1 second"});
        put_app(in, "/mine", 3, 3, "third");  // the old task goes on with what it was
        put_task(in, "t2", "/mine", 3, kAgent);
        CHECK(co_await at_head(in));
        CHECK(has(in, "definition") == Keys{"/mine 1 second", "/mine 3 third"});
        remove_task(in, "t1");
        remove_task(in, "u1");
        CHECK(co_await at_head(in));
        CHECK(has(in, "task") == Keys{"t2"});
        CHECK(has(in, "definition") == Keys{"/mine 3 third"});
    });
    CHECK(world.snapshots == 1);
    CHECK_FALSE(world.wire.contains("marker of /theirs"));
    CHECK_FALSE(world.wire.contains("u1"));
}

TEST_CASE(
    "what its tasks run reaches an agent, stays in line, and goes; others' tasks are none of its business") {
    run(definitions_follow);
}

Task<void> definitions_after_absence(World& world) {
    set_up_apps(world);
    put_task(world, "t1", "/mine", 1, kAgent);
    put_task(world, "t2", "/theirs", 1, kAgent);
    co_await with_stream(world, [](World& in) -> Task<void> {
        CHECK(co_await at_head(in));
        CHECK(has(in, "definition") == Keys{"/mine 1 first", "/theirs 1 first"});
    });
    // Away: one app changes, the task of the other goes, a third app comes.
    put_app(world, "/mine", 2, 1, "second");
    remove_task(world, "t2");
    put_app(world, "/new", 1, 1, "new");
    put_task(world, "t3", "/new", 1, kAgent);
    put_task(world, "t4", "/theirs", 1, kAgent);
    remove_task(world, "t4");
    world.open_copy();
    co_await with_stream(world, [](World& in) -> Task<void> {
        CHECK(co_await at_head(in));
        CHECK(has(in, "task") == Keys{"t1", "t3"});
        CHECK(has(in, "definition") == Keys{"/mine 1 second", "/new 1 new"});
    });
    CHECK(world.snapshots == 1);
}

TEST_CASE("an agent that was away gets what has changed of its definitions") {
    run(definitions_after_absence);
}

}  // namespace
}  // namespace smackd::cmd
