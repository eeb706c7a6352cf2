// A state machine on a disk in memory, and short ways to make commands.
#pragma once

#include <catch2/catch_test_macros.hpp>
#include <memory>
#include <string>
#include <vector>

#include "core/wire/command.pb.h"
#include "core/wire/realm.pb.h"
#include "core/wire/serialize.h"
#include "storage/state/state_machine.h"
#include "tests/unit/storage/sqlite/memory_disk.h"

namespace smackd::test {

using storage::state::StateMachine;
using storage::state::StateOptions;

/// One server: disk, file system, feed and the machine over them. `restart` keeps the disk.
class Server {
 public:
    explicit Server(storage::state::Retention retention = {},
                    uint32_t level_max = storage::state::kFeatureLevelMax)
        : retention_(retention), level_max_(level_max) {
        restart();
    }
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    ~Server() { stop(); }

    core::Result<void> try_start() {
        metrics_ = std::make_unique<core::MetricRegistry>();
        hub_ = std::make_unique<storage::feed::Hub>(storage::feed::HubLimits{}, *metrics_);
        auto opened = StateMachine::open({.directory = "/data/state",
                                          .disk = disk,
                                          .vfs = *vfs,
                                          .hub = *hub_,
                                          .metrics = *metrics_,
                                          .logger = {},
                                          .checkpoint_executor = checkpoints,
                                          .checkpoint_bytes = 64 * 1024,
                                          .feature_level_max = level_max_,
                                          .retention = retention_});
        if (!opened) return core::pass(std::move(opened));
        machine_ = std::move(*opened);
        index_ = machine_->applied().value;
        return {};
    }
    void stop() {
        machine_.reset();
        hub_.reset();
    }
    void restart() {
        stop();
        REQUIRE(try_start());
    }
    /// As after a power cut: what was not synced is gone.
    void crash() {
        disk.dead = true;
        stop();
        disk.dead = false;
        disk.lose_unsynced();
        REQUIRE(try_start());
    }

    StateMachine& machine() { return *machine_; }
    storage::feed::Hub& hub() { return *hub_; }
    uint64_t index() const { return index_; }

    /// Applies and commits one entry of these commands at the next index.
    core::Result<std::vector<wire::CommandResult>> try_entry(const std::vector<wire::Command>& commands,
                                                             uint64_t term = 1) {
        std::vector<core::Bytes> bytes;
        for (const wire::Command& command : commands) bytes.push_back(wire::serialize(command));
        const std::vector<core::BytesView> views(bytes.begin(), bytes.end());
        auto results = machine_->apply(core::Index{index_ + 1}, core::Term{term}, views);
        if (!results) return core::pass(std::move(results));
        TRY(machine_->commit());
        ++index_;
        std::vector<wire::CommandResult> parsed(results->size());
        for (size_t i = 0; i < parsed.size(); ++i) REQUIRE(parsed[i].ParseFromString((*results)[i]));
        return parsed;
    }
    wire::CommandResult run(const wire::Command& command, uint64_t term = 1) {
        auto results = try_entry({command}, term);
        if (!results) FAIL(results.error().to_string());
        return results->front();
    }
    /// Runs and requires success.
    uint64_t ok(const wire::Command& command) {
        const wire::CommandResult result = run(command);
        INFO(result.message());
        REQUIRE(result.code() == 0);
        return result.revision();
    }
    std::string digest() {
        auto digest = machine_->digest();
        REQUIRE(digest);
        return *digest;
    }

    MemoryDisk disk;
    core::Executor* checkpoints = nullptr;  ///< for the next start; outlives it
    std::unique_ptr<storage::sqlite::Vfs> vfs = storage::sqlite::Vfs::over_disk(disk);

 private:
    storage::state::Retention retention_;
    uint32_t level_max_;
    std::unique_ptr<core::MetricRegistry> metrics_;
    std::unique_ptr<storage::feed::Hub> hub_;
    std::unique_ptr<StateMachine> machine_;
    uint64_t index_ = 0;
};

inline wire::Command command(wire::Actor::Kind kind = wire::Actor::SYSTEM,
                             const std::string& principal = "system") {
    wire::Command made;
    made.set_feature_level(1);
    made.mutable_actor()->set_kind(kind);
    made.mutable_actor()->set_principal(principal);
    made.mutable_actor()->set_door("test");
    made.set_time_ms(1'000'000);
    return made;
}
inline wire::Command as_user(const std::string& name) {
    return command(wire::Actor::USER, name + "@EXAMPLE.COM");
}

inline wire::Command& setting(wire::Command& made, const std::string& name, const std::string& value) {
    auto* change = made.add_changes()->mutable_put_setting();
    change->set_name(name);
    change->set_value(value);
    return made;
}
inline wire::Command put_setting(const std::string& name, const std::string& value) {
    wire::Command made = command();
    return setting(made, name, value);
}
inline wire::Command init_cluster() {
    wire::Command made = command();
    auto* change = made.add_changes()->mutable_init_cluster();
    change->set_cluster_id("abc123");
    change->set_cluster_name("test");
    change->set_realm("EXAMPLE.COM");
    return made;
}
inline wire::Command& user(wire::Command& made, const std::string& name, bool disabled = false) {
    made.add_changes()->mutable_put_user()->set_name(name);
    made.mutable_changes(made.changes_size() - 1)->mutable_put_user()->set_disabled(disabled);
    return made;
}
inline wire::Command& group(wire::Command& made, const std::string& name,
                            const std::vector<std::string>& members) {
    auto* change = made.add_changes()->mutable_put_group();
    change->set_name(name);
    for (const std::string& member : members) change->add_members(member);
    return made;
}
inline wire::Command& rule(wire::Command& made, const std::string& id, const std::string& subject,
                           const std::string& action, const std::string& note = "") {
    auto* change = made.add_changes()->mutable_put_rule();
    change->set_id(id);
    change->set_subject(subject);
    change->add_actions(action);
    change->set_tenant("*");
    change->set_path("/");
    change->set_note(note);
    return made;
}
inline wire::Command& principal(wire::Command& made, const std::string& name, uint32_t attributes = 0) {
    auto* change = made.add_changes()->mutable_put_principal();
    change->set_name(name);
    wire::PrincipalRecord record;
    record.set_attributes(attributes);
    record.set_max_life_s(36000);
    change->set_record(record.SerializeAsString());
    return made;
}
inline wire::Command& secret(wire::Command& made, const std::string& name, const std::string& sealed) {
    auto* change = made.add_changes()->mutable_put_secret();
    change->set_name(name);
    change->set_sealed(sealed);
    return made;
}
inline wire::Command& machine(wire::Command& made, const std::string& name, bool allowed = true) {
    auto* change = made.add_changes()->mutable_put_machine();
    change->set_name(name);
    change->add_roles("server");
    change->set_state(allowed ? wire::MACHINE_ALLOWED : wire::MACHINE_SUSPENDED);
    (*change->mutable_attributes())["zone"] = "a";
    (*change->mutable_attributes())["rack"] = "7";
    return made;
}
inline wire::Command& node(wire::Command& made, uint64_t id, const std::string& machine_name) {
    auto* change = made.add_changes()->mutable_put_node();
    change->set_node_id(id);
    change->set_machine(machine_name);
    change->set_address("10.0.0.1:5055");
    return made;
}

inline core::Errc code(const wire::CommandResult& result) {
    return static_cast<core::Errc>(result.code());
}

}  // namespace smackd::test
