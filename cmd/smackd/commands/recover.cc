// `smackd recover`: a stopped node goes on alone from what is on its disk, and says before what that costs.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <format>
#include <iostream>

#include "cmd/smackd/bootstrap.h"
#include "cmd/smackd/commands/commands.h"
#include "cmd/smackd/commands/run_node.h"
#include "cmd/smackd/config.h"
#include "cmd/smackd/data_directory.h"
#include "cmd/smackd/log_sink.h"
#include "core/metrics.h"
#include "net/posix_disk.h"
#include "net/system_random.h"
#include "storage/feed/hub.h"
#include "storage/replica.h"
#include "storage/state/state_machine.h"

namespace smackd::cmd {
namespace {

/// The stopped node's disk, and its state while it is open.
class StoppedNode {
 public:
    StoppedNode(DataDirectory directory, NodeIdentity identity)
        : directory_(std::move(directory)), identity_(std::move(identity)) {}

    const NodeIdentity& identity() const { return identity_; }
    const DataDirectory& directory() const { return directory_; }

    core::Result<storage::RecoveryReport> survey() { return storage::Replica::survey(options(), disk_); }

    /// `set_damaged_aside`: damage becomes an empty state instead of kCorrupt.
    core::Result<std::unique_ptr<storage::state::StateMachine>> open_state(bool set_damaged_aside) {
        storage::state::StateOptions state{directory_.state(),          disk_, *vfs_, hub_, metrics_,
                                           core::Logger(&log_, "state")};
        state.set_damaged_aside = set_damaged_aside;
        return storage::state::StateMachine::open(std::move(state));
    }

    /// From here on this node's data is of the new epoch, also when it asks to join again.
    core::Result<void> enter_epoch(uint64_t epoch, const std::string& address) {
        identity_.epoch = epoch;
        identity_.address = address;
        return write_identity(directory_, identity_);
    }

    core::Result<storage::RecoveryReport> recover(const std::string& address) {
        TRY_ASSIGN(auto state, open_state(true));
        const storage::Server self{core::NodeId{identity_.node_id}, address, storage::ServerRole::kVoter};
        net::SystemRandom random;
        return storage::Replica::recover(options(), disk_, *state, self, random);
    }

 private:
    storage::ReplicaOptions options() const {
        storage::ReplicaOptions options;
        options.self = core::NodeId{identity_.node_id};
        options.directory = directory_.raft();
        return options;
    }

    DataDirectory directory_;
    NodeIdentity identity_;
    DescriptorLogSink log_{STDERR_FILENO, core::LogLevel::kWarning};
    net::PosixDisk disk_;
    std::unique_ptr<storage::sqlite::Vfs> vfs_ = storage::sqlite::Vfs::over_unix();
    core::MetricRegistry metrics_;
    storage::feed::Hub hub_{storage::feed::HubLimits{}, metrics_};
};

/// What the other servers dial: as the cluster knows it, else as the first start had it.
core::Result<std::string> address_of(Context& context, const StoppedNode& node,
                                     const storage::RecoveryReport& found) {
    if (context.arguments.has("--advertise")) return context.arguments.value("--advertise");
    for (const storage::Server& server : found.servers) {
        if (server.id.value == node.identity().node_id) return server.address;
    }
    auto voters = read_initial_voters(node.directory());
    for (const InitialVoter& voter : voters.value_or(std::vector<InitialVoter>{})) {
        if (voter.node_id == node.identity().node_id) return voter.address;
    }
    return context.usage("this node's cluster address is not on its disk: give it by --advertise HOST:PORT");
}

std::string others(const StoppedNode& node, const storage::RecoveryReport& found) {
    std::string names;
    for (const storage::Server& server : found.servers) {
        if (server.id.value == node.identity().node_id) continue;
        names += std::format("{}{} ({})", names.empty() ? "" : ", ", server.id.value, server.address);
    }
    return names;
}

/// The state's line, or what is damaged of it.
core::Result<std::string> state_line(StoppedNode& node) {
    auto state = node.open_state(false);
    if (state) {
        return std::format("revision {}, entries up to {} applied", (*state)->revision().to_string(),
                           (*state)->applied().value);
    }
    if (state.error().code != core::Errc::kCorrupt) return core::pass(std::move(state));
    return std::format("damaged, comes back from snapshot and log as far as they reach ({})",
                       state.error().message);
}

std::string plan_text(const StoppedNode& node, const storage::RecoveryReport& found,
                      const std::string& state) {
    const std::string left = others(node, found);
    std::string text =
        std::format("Node {} (id {}) of cluster {}, in {}:\n", node.identity().name, node.identity().node_id,
                    node.identity().cluster_name, node.directory().path());
    text += std::format("  log       entries up to {}, the last one of term {}\n", found.last.value,
                        found.term.value);
    text += found.snapshot.value == 0 ? std::string("  snapshot  none\n")
                                      : std::format("  snapshot  at entry {}\n", found.snapshot.value);
    text += std::format("  state     {}\n", state);
    text += std::format("  others    {}\n\nLost for good by going on:\n", left.empty() ? "none" : left);
    for (const std::string& lost : found.lost) text += std::format("  - {}\n", lost);
    if (found.lost.empty()) text += "  - of this disk: nothing known\n";
    if (!left.empty()) {
        text += std::format(
            "  - what the other servers acknowledged and this one had not received: everything behind entry "
            "{}, if there was any. Nothing on this disk can tell.\n"
            "  - the other servers themselves: with the data they have now they are refused (older epoch). "
            "Keep them stopped, and empty their data directories before they join anew.\n",
            found.last.value);
    }
    text +=
        "\nThis node becomes the only voter, every entry on its disk counts as committed, and the epoch is "
        "raised: whoever follows changes begins anew with the whole state.\n";
    return text;
}

core::Result<void> confirm(Context& context, const StoppedNode& node) {
    if (context.arguments.has("--yes")) return {};
    const std::string typed = std::format("smackd recover --data-dir {} --yes", node.directory().path());
    if (::isatty(STDIN_FILENO) == 0) {
        return context.usage(
            std::format("nothing was changed: there is no terminal to confirm on; type: {}", typed));
    }
    std::cerr << "Type yes to go on: " << std::flush;
    std::string answer;
    std::getline(std::cin, answer);
    if (answer == "yes") return {};
    return core::fail(core::Errc::kCancelled, "nothing was changed");
}

void tell(Context& context, const StoppedNode& node, const std::string& address,
          const storage::RecoveryReport& done) {
    std::string text = std::format(
        "Recovered: entries up to {} are kept, the only voter is this node at {}, term {}, the "
        "state begins its epoch at revision {}.",
        done.last.value, address, done.term.value, done.revision.to_string());
    if (!context.arguments.has("--start"))
        text += std::format("\nNext: smackd start --data-dir {}", node.directory().path());
    context.output.say(text);
    core::Json lost = core::Json::array();
    for (const std::string& range : done.lost) lost.push(range);
    core::Json document;
    document.set("last_index", done.last.value)
        .set("term", done.term.value)
        .set("revision", done.revision.to_string())
        .set("address", address)
        .set("lost", std::move(lost));
    context.output.document(document);
}

/// Lets go of the directory's lock when it returns.
core::Result<void> recover_stopped(Context& context, DataDirectory directory, NodeIdentity identity) {
    auto lock = DirectoryLock::take(directory);
    if (!lock) return core::pass(std::move(lock), "recover needs a stopped node");
    StoppedNode node(std::move(directory), std::move(identity));
    TRY_ASSIGN(const storage::RecoveryReport found, node.survey());
    TRY_ASSIGN(const std::string address, address_of(context, node, found));
    TRY_ASSIGN(const std::string state, state_line(node));
    context.output.say(plan_text(node, found, state));
    TRY(confirm(context, node));
    TRY_ASSIGN(const storage::RecoveryReport done, node.recover(address));
    TRY(node.enter_epoch(done.revision.epoch, address));
    tell(context, node, address, done);
    return {};
}

core::Result<void> recover(Context& context) {
    ::umask(0077);
    TRY_ASSIGN(Config config, start_config(context));
    DataDirectory directory(config.data_dir);
    auto identity = read_identity(directory);
    if (!identity && identity.error().code == core::Errc::kNotFound) {
        return core::fail(core::Errc::kNotFound, "{} holds no node; give its directory by --data-dir",
                          directory.path());
    }
    if (!identity) return core::pass(std::move(identity));
    config.node_name = identity->name;
    TRY(recover_stopped(context, std::move(directory), std::move(*identity)));
    if (!context.arguments.has("--start")) return {};
    return run_node(context, config);
}

}  // namespace

std::vector<Command> recover_commands() {
    return {
        {"recover",
         "makes a stopped node the only voter, with what is on its disk: when the others or a part of the "
         "log "
         "are lost",
         "smackd recover --data-dir /var/lib/smackd",
         {},
         {{"--config", "FILE", "configuration (default /etc/smackd/smackd.toml)"},
          {"--data-dir", "DIR", "of the stopped node (default /var/lib/smackd)"},
          {"--advertise", "HOST:PORT", "what other servers dial (default: as before)"},
          {"--yes", "", "accept the loss without being asked"},
          {"--start", "", "goes on running as the node"},
          {"--cluster-addr", "HOST:PORT",
           "with --start: where to listen for other servers (default 0.0.0.0:5055)"},
          {"--api-addr", "HOST:PORT", "with --start: API (default 0.0.0.0:5050)"},
          {"--kdc-addr", "HOST:PORT", "with --start: KDC of an embedded realm (default 0.0.0.0:88)"},
          {"--log-level", "LEVEL", "with --start: debug, info, warning or error (default info)"}},
         recover},
    };
}

}  // namespace smackd::cmd
