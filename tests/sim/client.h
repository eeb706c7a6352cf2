// A client that writes unique values, sets users up and removes them, sends commands that must be refused,
// and reads consistently: one request at a time, retried until it knows.
#pragma once

#include <functional>
#include <map>
#include <memory>

#include "core/wire/command.pb.h"
#include "tests/sim/checker.h"

namespace smackd::sim {

using Processes = std::map<uint64_t, std::unique_ptr<Process>>;

struct ClientCounts {
    uint64_t writes = 0, reads = 0, retries = 0, unknown = 0, refused = 0, invalid = 0;
};

class Client {
 public:
    Client(World& world, Processes& processes, Checker& checker, uint64_t id)
        : world_(world), processes_(processes), checker_(checker), id_(id) {}

    /// Begins requests until `stop` says so; `acknowledged` runs after each one that was.
    void start(std::function<bool()> stop, std::function<void()> acknowledged);
    /// Sends a given command until it is acknowledged, before anything else.
    void push(core::Bytes command) { urgent_.push_back(std::move(command)); }
    bool idle() const { return idle_; }
    const ClientCounts& counts() const { return counts_; }

 private:
    enum class Kind : uint8_t { kWrite, kWriteTwo, kExpect, kPeople, kRule, kInvalid, kRead, kUrgent };
    static Kind draw(uint64_t die);
    void next();
    void make_command();
    void add_setting(wire::Command& command);
    void add_secret(wire::Command& command);
    void add_people(wire::Command& command);
    void add_rule(wire::Command& command);
    void add_invalid(wire::Command& command);
    void attempt();
    void send_write(Process& process, uint64_t attempt);
    void send_read(Process& process, uint64_t attempt);
    void written(core::Result<core::Bytes> result);
    void learn(const wire::CommandResult& result);
    void retry(const core::Error* error);
    void done(bool acknowledged);
    Process* pick();

    World& world_;
    Processes& processes_;
    Checker& checker_;
    uint64_t id_;
    std::function<bool()> stop_;
    std::function<void()> acknowledged_;
    std::vector<core::Bytes> urgent_;
    ClientCounts counts_;
    bool idle_ = true;
    Kind kind_ = Kind::kWrite;
    uint64_t sequence_ = 0;
    uint64_t attempt_ = 0;  ///< of any request: an answer to an older one is late
    uint64_t floor_ = 0;    ///< known when the request began
    core::Bytes command_;
    std::string key_, value_;
    std::vector<Change> changes_;  ///< what the command will have done
    uint64_t expected_ = 0;
    bool has_user_ = false;
    core::Bytes group_;    ///< row of the own group
    uint64_t target_ = 0;  ///< server to ask; 0: any
    uint64_t timeout_ = 0;
};

}  // namespace smackd::sim
