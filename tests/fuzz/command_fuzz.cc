// Commands as they come out of the log: whatever the bytes, apply answers, decides by the rules, and all or
// nothing.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/assert.h"
#include "core/wire/command.pb.h"
#include "core/wire/serialize.h"
#include "storage/state/state_machine.h"
#include "tests/unit/storage/sqlite/memory_disk.h"

using namespace smackd;

namespace {

/// A cluster in which alice is admin and bob is nobody.
class Cluster {
 public:
    Cluster() {
        auto opened = storage::state::StateMachine::open({.directory = "/state",
                                                          .disk = disk_,
                                                          .vfs = *vfs_,
                                                          .hub = hub_,
                                                          .metrics = metrics_,
                                                          .logger = {}});
        SMACK_ASSERT(opened.has_value());
        machine_ = std::move(*opened);
        wire::Command command;
        command.mutable_actor()->set_kind(wire::Actor::SYSTEM);
        auto* cluster = command.add_changes()->mutable_init_cluster();
        cluster->set_cluster_id("c");
        cluster->set_realm("A.COM");
        command.add_changes()->mutable_put_user()->set_name("alice");
        command.add_changes()->mutable_put_user()->set_name("bob");
        auto* rule = command.add_changes()->mutable_put_rule();
        rule->set_id("r");
        rule->set_subject("user:alice");
        rule->add_actions("admin");
        rule->set_tenant("*");
        rule->set_path("/");
        const wire::CommandResult made = apply(wire::serialize(command));
        SMACK_ASSERT(made.code() == 0);
        SMACK_ASSERT(machine_->commit().has_value());
        before_ = *machine_->digest();
        wire::Command above;
        above.set_feature_level(1000);
        above_ = wire::serialize(above);
    }

    /// Stages one command at the next index.
    wire::CommandResult apply(std::string_view bytes) {
        auto results = machine_->apply(machine_->applied().next(), core::Term{1}, {bytes});
        wire::CommandResult result;
        if (!results) {
            // Stopped: only a level above ours does that.
            SMACK_ASSERT(results.error().code == core::Errc::kUnsupported);
            result.set_code(static_cast<uint32_t>(core::Errc::kUnsupported));
            return result;
        }
        SMACK_ASSERT(results->size() == 1 && result.ParseFromString(results->front()));
        return result;
    }

    /// Undoes what is staged: an entry that cannot be applied takes everything since the commit with it.
    void undo() {
        SMACK_ASSERT(!machine_->apply(core::Index{machine_->applied().value + 2}, core::Term{1}, {above_})
                          .has_value());
        if (++runs_ % 256 == 0) SMACK_ASSERT(*machine_->digest() == before_);
    }

    uint64_t revision() const { return machine_->revision().number; }

 private:
    test::MemoryDisk disk_;
    std::unique_ptr<storage::sqlite::Vfs> vfs_ = storage::sqlite::Vfs::over_disk(disk_);
    core::MetricRegistry metrics_;
    storage::feed::Hub hub_{{}, metrics_};
    std::unique_ptr<storage::state::StateMachine> machine_;
    std::string before_;
    std::string above_;
    uint64_t runs_ = 0;
};

/// What the rules of this cluster let people do, said once more in other words.
void check_rights(const wire::Command& command) {
    const std::string& principal = command.actor().principal();
    if (command.actor().kind() == wire::Actor::SYSTEM) return;
    SMACK_ASSERT(command.actor().kind() == wire::Actor::USER);  // no machine is registered here
    SMACK_ASSERT(principal.ends_with("@A.COM"));
    for (const wire::Change& change : command.changes()) {
        SMACK_ASSERT(!change.has_init_cluster() && !change.has_raise_epoch());
        const bool own = change.has_revoke_tokens() && change.revoke_tokens().principal() == principal;
        SMACK_ASSERT(principal == "alice@A.COM" || own);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static Cluster cluster;
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const wire::CommandResult result = cluster.apply(bytes);
    if (result.code() == 0) {
        wire::Command command;
        SMACK_ASSERT(command.ParseFromArray(data, static_cast<int>(size)));
        SMACK_ASSERT(result.revision() >= cluster.revision() + static_cast<uint64_t>(command.changes_size()));
        check_rights(command);
        // The same again: answered from memory when it has a client.
        if (command.client() != 0) SMACK_ASSERT(cluster.revision() < result.revision());
    } else {
        SMACK_ASSERT(result.code() <= static_cast<uint32_t>(core::Errc::kUnknownOutcome));
        SMACK_ASSERT(result.revision() == cluster.revision() || result.revision() == 0);
    }
    cluster.undo();
    return 0;
}
