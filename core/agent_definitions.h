// Which definitions an agent needs, has and needs no more: those of its tasks. One for each stream to an
// agent; fed with the rows of its tasks in the order in which they are sent.
//
// A task and what it runs reach the agent in one item. On a stream that goes on from a place, the agent may
// have definitions that this has not heard of: they are sent again, and taken away with their last task.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace smackd::core {

class AgentDefinitions {
 public:
    /// The agent has this task now. True when its definition must be sent with it.
    bool add(const std::string& task, const std::string& definition);
    /// The task is gone. The definition that none of the agent's tasks needs any more, if it is one;
    /// `definition` may be empty when it is not known.
    std::optional<std::string> remove(const std::string& task, const std::string& definition);
    /// Whether a definition of that version is news for the agent.
    bool wants(const std::string& definition, uint64_t version) const;
    void sent(const std::string& definition, uint64_t version);

 private:
    struct Known {
        size_t tasks = 0;
        std::optional<uint64_t> version;  ///< that was sent
    };
    std::map<std::string, std::string> tasks_;  ///< to their definitions
    std::map<std::string, Known> definitions_;
};

}  // namespace smackd::core
