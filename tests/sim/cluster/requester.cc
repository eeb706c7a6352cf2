#include "tests/sim/cluster/requester.h"

#include <format>

#include "tests/sim/cluster/machine.h"
#include "tests/sim/cluster/node.h"
#include "tests/sim/cluster/site.h"

namespace smackd::sim::cluster {
namespace {

constexpr core::milliseconds kAnswerLimit{4000};
constexpr int64_t kThinkMaxMs = 500;

}  // namespace

wire::Command new_command() {
    wire::Command command;
    command.mutable_actor()->set_kind(wire::Actor::SYSTEM);
    command.mutable_actor()->set_door("sim");
    return command;
}

void Requester::request(wire::Command command, Done done, bool any_epoch) {
    waiting_.push_back({std::move(command), std::move(done), any_epoch});
    if (waiting_.size() == 1) next();
}

void Requester::next() {
    if (waiting_.empty()) return;
    waiting_.front().command.set_client(client_);
    waiting_.front().command.set_sequence(++sequence_);
    attempt();
}

void Requester::attempt() {
    const uint64_t number = ++attempt_;
    timeout_ = site_.world.schedule(kAnswerLimit, [this] { again(); });
    Machine* machine = site_.any_running();
    if (machine == nullptr) return;
    site_.world.schedule(site_.hop(), [this, machine, number] {
        if (number != attempt_ || !machine->running()) return;
        const auto life = machine->node->life();
        const auto ask = [this, machine, number] {
            if (number != attempt_) return;
            machine->node->propose(waiting_.front().command.SerializeAsString(),
                                   [this, number](core::Result<core::Bytes> answer) {
                                       site_.world.schedule(
                                           site_.hop(), [this, number, moved = std::move(answer)]() mutable {
                                               if (number == attempt_) answered(std::move(moved));
                                           });
                                   });
        };
        life->schedule(core::Duration{0}, ask, life);
    });
}

void Requester::again() {
    ++attempt_;
    site_.world.cancel(timeout_);
    site_.world.schedule(site_.between(20, 120), [this] { attempt(); });
}

void Requester::answered(core::Result<core::Bytes> answer) {
    if (!answer) {
        if (answer.error().code == core::Errc::kUnknownOutcome) site_.counts.add(Event::kUnknownOutcome);
        return again();
    }
    wire::CommandResult result;
    result.ParseFromString(*answer);
    if (result.code() == 0 && result.epoch() != site_.checker.epoch() && !waiting_.front().any_epoch) {
        // Who has it from before a recovery answers the same again, and may be right: it is another command
        // now.
        waiting_.front().command.set_sequence(++sequence_);
        return again();
    }
    ++attempt_;
    site_.world.cancel(timeout_);
    Request request = std::move(waiting_.front());
    waiting_.pop_front();
    request.done(result);
    next();
}

Writer::Writer(Site& site, uint64_t client) : site_(site), client_(client), requester_(site, client) {}

void Writer::start() {
    site_.world.schedule(site_.between(1, kThinkMaxMs), [this] {
        if (!stopped_) write();
    });
}

void Writer::write() {
    wire::Command command = new_command();
    wire::PutSetting& setting = *command.add_changes()->mutable_put_setting();
    setting.set_name(std::format("w{}-{}", client_, ++written_));
    setting.set_value(std::format("{:x}", site_.world.random().next()) + std::string(site_.below(300), 'v'));
    const auto answered = [this, key = setting.name(),
                           value = setting.value()](const wire::CommandResult& result) {
        if (result.code() != 0)
            return site_.world.violate(std::format("'{}' was answered with: {}", key, result.message()));
        site_.checker.acknowledged(key, value, result);
        start();
    };
    requester_.request(std::move(command), answered, true);
}

}  // namespace smackd::sim::cluster
