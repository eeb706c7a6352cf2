#include "tests/sim/client.h"

#include <format>

#include "core/wire/command.pb.h"

namespace smackd::sim {
namespace {

constexpr uint64_t kKeys = 12;
constexpr core::milliseconds kTimeout{1500};

core::Duration hop(World& world) {
    return core::Duration{static_cast<int64_t>(100'000 + world.random().below(400'000))};
}

}  // namespace

void Client::start(std::function<bool()> stop, std::function<void()> acknowledged) {
    stop_ = std::move(stop);
    acknowledged_ = std::move(acknowledged);
    idle_ = false;
    world_.schedule(hop(world_), [this] { next(); });
}

void Client::next() {
    if (stop_() && urgent_.empty()) {
        idle_ = true;
        return;
    }
    floor_ = checker_.acknowledged();
    const uint64_t die = world_.random().below(20);
    kind_ = die < 4 ? Kind::kRead : die < 6 ? Kind::kWriteTwo : die < 8 ? Kind::kExpect : Kind::kWrite;
    if (!urgent_.empty()) {
        kind_ = Kind::kUrgent;
        command_ = urgent_.front();
        urgent_.erase(urgent_.begin());
    } else if (kind_ != Kind::kRead) {
        make_write();
    }
    attempt();
}

void Client::make_write() {
    wire::Command command;
    command.mutable_actor()->set_kind(wire::Actor::SYSTEM);
    command.mutable_actor()->set_door("sim");
    command.set_client(id_);
    command.set_sequence(++sequence_);
    key_ = std::format("k{}", world_.random().below(kKeys));
    value_ = std::format("{}-{}-", id_, sequence_);
    value_.append(world_.random().below(300), 'v');
    wire::PutSetting& setting = *command.add_changes()->mutable_put_setting();
    setting.set_name(key_);
    setting.set_value(value_);
    if (kind_ == Kind::kWriteTwo) {
        wire::PutSecret& secret = *command.add_changes()->mutable_put_secret();
        secret.set_name(std::format("s{}", id_));
        secret.set_sealed(value_);
    }
    if (kind_ == Kind::kExpect) {
        expected_ = checker_.version_of(key_);
        wire::Expect& expect = *command.add_expected();
        expect.set_kind("setting");
        expect.set_key(key_);
        expect.set_version(expected_);
    }
    command_ = command.SerializeAsString();
}

Process* Client::pick() {
    const auto asked = processes_.find(target_);
    if (asked != processes_.end()) return asked->second.get();
    auto any = processes_.begin();
    std::advance(any, static_cast<std::ptrdiff_t>(world_.random().below(processes_.size())));
    return any->second.get();
}

void Client::attempt() {
    const uint64_t attempt = ++attempt_;
    Process* process = pick();
    timeout_ = world_.schedule(kTimeout, [this] {
        target_ = 0;
        retry(nullptr);
    });
    world_.schedule(hop(world_), [this, process, attempt] {
        if (!process->up()) return;  // the time-out notices
        process->life()->schedule(
            core::Duration{0},
            [this, process, attempt] {
                if (kind_ == Kind::kRead) return send_read(*process, attempt);
                send_write(*process, attempt);
            },
            process->life());
    });
}

void Client::send_write(Process& process, uint64_t attempt) {
    if (attempt != attempt_) return;
    process.replica().propose(command_, [this, attempt](core::Result<core::Bytes> result) {
        world_.schedule(hop(world_), [this, attempt, answer = std::move(result)]() mutable {
            if (attempt == attempt_) written(std::move(answer));
        });
    });
}

void Client::send_read(Process& process, uint64_t attempt) {
    if (attempt != attempt_) return;
    process.replica().barrier([this, attempt, &process](core::Result<core::Index> index) {
        const uint64_t revision = index ? process.state().revision().number : 0;
        world_.schedule(hop(world_), [this, attempt, revision, answer = std::move(index)]() mutable {
            if (attempt != attempt_) return;
            if (!answer) return retry(&answer.error());
            checker_.read(revision, floor_);
            ++counts_.reads;
            done();
        });
    });
}

void Client::written(core::Result<core::Bytes> answer) {
    if (!answer) return retry(&answer.error());
    wire::CommandResult result;
    result.ParseFromString(*answer);
    if (kind_ == Kind::kUrgent) return done();
    if (result.code() == 0) {
        checker_.acknowledged(value_, result.revision(), floor_, kind_ == Kind::kWriteTwo);
        if (kind_ == Kind::kExpect) checker_.acknowledged_expecting(key_, expected_, result.revision());
        ++counts_.writes;
    } else if (kind_ == Kind::kExpect && result.code() == static_cast<uint32_t>(core::Errc::kConflict)) {
        ++counts_.refused;
    } else {
        world_.violate(std::format("'{}' was refused: {}", value_, result.message()));
    }
    done();
}

void Client::retry(const core::Error* error) {
    ++counts_.retries;
    ++attempt_;
    world_.cancel(timeout_);
    if (error != nullptr) {
        if (error->code == core::Errc::kUnknownOutcome) ++counts_.unknown;
        // "not the leader; server N is"
        target_ = 0;
        const size_t at = error->message.find("server ");
        if (error->code == core::Errc::kUnavailable && at != std::string::npos) {
            target_ = static_cast<uint64_t>(std::atoi(error->message.c_str() + at + 7));
        }
    }
    const core::milliseconds wait{static_cast<int64_t>(5 + world_.random().below(60))};
    world_.schedule(wait, [this] { attempt(); });
}

void Client::done() {
    ++attempt_;
    world_.cancel(timeout_);
    if (kind_ != Kind::kUrgent) acknowledged_();
    const core::Duration think{static_cast<int64_t>(world_.random().below(8'000'000))};
    world_.schedule(think, [this] { next(); });
}

}  // namespace smackd::sim
