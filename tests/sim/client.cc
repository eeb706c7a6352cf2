#include "tests/sim/client.h"

#include <format>

namespace smackd::sim {
namespace {

constexpr uint64_t kKeys = 12;
constexpr uint64_t kRules = 6;
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

Client::Kind Client::draw(uint64_t die) {
    if (die < 4) return Kind::kRead;
    if (die < 6) return Kind::kWriteTwo;
    if (die < 8) return Kind::kExpect;
    if (die < 10) return Kind::kPeople;
    if (die < 11) return Kind::kRule;
    return die < 12 ? Kind::kInvalid : Kind::kWrite;
}

void Client::next() {
    if (stop_() && urgent_.empty()) {
        idle_ = true;
        return;
    }
    floor_ = checker_.known();
    kind_ = draw(world_.random().below(20));
    key_ = std::format("k{}", world_.random().below(kKeys));
    if (!urgent_.empty()) {
        kind_ = Kind::kUrgent;
        command_ = urgent_.front();
        urgent_.erase(urgent_.begin());
    } else if (kind_ != Kind::kRead) {
        make_command();
    }
    attempt();
}

void Client::make_command() {
    wire::Command command;
    command.mutable_actor()->set_kind(wire::Actor::SYSTEM);
    command.mutable_actor()->set_door("sim");
    command.set_client(id_);
    command.set_sequence(++sequence_);
    value_ = std::format("{}-{}-", id_, sequence_);
    value_.append(world_.random().below(300), 'v');
    changes_.clear();
    if (kind_ == Kind::kPeople) {
        add_people(command);
    } else if (kind_ == Kind::kRule) {
        add_rule(command);
    } else {
        add_setting(command);
    }
    if (kind_ == Kind::kWriteTwo) add_secret(command);
    if (kind_ == Kind::kInvalid) add_invalid(command);
    if (kind_ == Kind::kExpect) {
        expected_ = checker_.version_of(key_);
        wire::Expect& expect = *command.add_expected();
        expect.set_kind("setting");
        expect.set_key(key_);
        expect.set_version(expected_);
    }
    command_ = command.SerializeAsString();
}

void Client::add_setting(wire::Command& command) {
    wire::PutSetting& setting = *command.add_changes()->mutable_put_setting();
    setting.set_name(key_);
    setting.set_value(value_);
    changes_.push_back({"setting", key_, setting.SerializeAsString()});
}

void Client::add_secret(wire::Command& command) {
    wire::PutSecret& secret = *command.add_changes()->mutable_put_secret();
    secret.set_name(std::format("s{}", id_));
    secret.set_sealed(value_);
    changes_.push_back({"secret", secret.name(), {}});
}

/// The own user comes with a group, or goes, which takes it out of the group.
void Client::add_people(wire::Command& command) {
    const std::string user_name = std::format("u{}", id_);
    wire::PutGroup group;
    if (has_user_) {
        command.add_changes()->mutable_remove_user()->set_name(user_name);
        group.ParseFromString(group_);
        group.clear_members();
        changes_.push_back({"group", group.name(), group.SerializeAsString()});
        changes_.push_back({"user", user_name, {}, true});
        return;
    }
    wire::PutUser& user = *command.add_changes()->mutable_put_user();
    user.set_name(user_name);
    user.set_full_name(value_);
    group.set_name(std::format("g{}", id_));
    group.set_description(value_);
    group.add_members(user_name);
    *command.add_changes()->mutable_put_group() = group;
    group_ = group.SerializeAsString();
    changes_.push_back({"user", user_name, user.SerializeAsString()});
    changes_.push_back({"group", group.name(), group_});
}

/// With a note as soon as the cluster's feature level has notes.
void Client::add_rule(wire::Command& command) {
    wire::PutRule& rule = *command.add_changes()->mutable_put_rule();
    rule.set_id(std::format("r{}", world_.random().below(kRules)));
    rule.set_subject("group:ops");
    rule.add_actions("view");
    rule.set_tenant("*");
    rule.set_path(std::format("/c-{}-{}", id_, sequence_));
    if (checker_.feature_level() >= 2) {
        command.set_feature_level(2);
        rule.set_note(value_);
    }
    changes_.push_back({"rule", rule.id(), rule.SerializeAsString()});
}

/// Whatever comes before the part that is refused must not be seen.
void Client::add_invalid(wire::Command& command) {
    add_secret(command);
    command.add_changes()->mutable_remove_user()->set_name(std::format("nobody-{}", id_));
    checker_.forbid(changes_.front().row);
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

/// The barrier says when this server may be read; the row comes from its tables, as for the doors.
void Client::send_read(Process& process, uint64_t attempt) {
    if (attempt != attempt_) return;
    process.replica().barrier([this, attempt, &process](core::Result<core::Index> index) {
        struct Found {
            uint64_t revision = 0, version = 0;
            core::Bytes row;
        };
        auto found = [&]() -> core::Result<Found> {
            TRY(std::move(index));
            TRY_ASSIGN(auto view, process.reader().view());
            TRY_ASSIGN(const auto setting, view.setting(key_));
            if (!setting) return Found{view.point().revision.number, 0, {}};
            return Found{view.point().revision.number, setting->version, setting->put.SerializeAsString()};
        }();
        world_.schedule(hop(world_), [this, attempt, answer = std::move(found)]() mutable {
            if (attempt != attempt_) return;
            if (!answer) return retry(&answer.error());
            checker_.read(key_, answer->version, answer->row, answer->revision, floor_);
            ++counts_.reads;
            done(true);
        });
    });
}

void Client::written(core::Result<core::Bytes> answer) {
    if (!answer) return retry(&answer.error());
    wire::CommandResult result;
    result.ParseFromString(*answer);
    if (kind_ == Kind::kUrgent) return done(false);
    const auto code = static_cast<core::Errc>(result.code());
    if (kind_ == Kind::kInvalid && code == core::Errc::kNotFound) {
        ++counts_.invalid;
    } else if (kind_ == Kind::kExpect && code == core::Errc::kConflict) {
        ++counts_.refused;
    } else if (result.code() == 0 && kind_ != Kind::kInvalid) {
        learn(result);
    } else {
        world_.violate(
            std::format("'{}' was answered with code {}: {}", value_, result.code(), result.message()));
    }
    done(result.code() == 0);
}

void Client::learn(const wire::CommandResult& result) {
    checker_.acknowledged(changes_, result.revision(), floor_);
    if (kind_ == Kind::kExpect) checker_.acknowledged_expecting(key_, expected_, result.revision());
    if (kind_ == Kind::kWriteTwo) checker_.sealed(std::format("s{}", id_), value_);
    if (kind_ == Kind::kPeople) has_user_ = !has_user_;
    ++counts_.writes;
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

void Client::done(bool acknowledged) {
    ++attempt_;
    world_.cancel(timeout_);
    if (acknowledged) acknowledged_();
    const core::Duration think{static_cast<int64_t>(world_.random().below(8'000'000))};
    world_.schedule(think, [this] { next(); });
}

}  // namespace smackd::sim
