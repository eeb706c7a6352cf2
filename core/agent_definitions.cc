#include "core/agent_definitions.h"

namespace smackd::core {

bool AgentDefinitions::add(const std::string& task, const std::string& definition) {
    Known& known = definitions_[definition];
    if (tasks_.emplace(task, definition).second) ++known.tasks;
    return !known.version;
}

std::optional<std::string> AgentDefinitions::remove(const std::string& task, const std::string& definition) {
    std::string needed = definition;
    if (const auto found = tasks_.find(task); found != tasks_.end()) {
        needed = found->second;
        tasks_.erase(found);
        --definitions_[needed].tasks;
    }
    if (needed.empty()) return std::nullopt;
    const auto known = definitions_.find(needed);
    if (known != definitions_.end() && known->second.tasks > 0) return std::nullopt;
    if (known != definitions_.end()) definitions_.erase(known);
    return needed;
}

bool AgentDefinitions::wants(const std::string& definition, uint64_t version) const {
    const auto known = definitions_.find(definition);
    if (known == definitions_.end() || known->second.tasks == 0) return false;
    return !known->second.version || *known->second.version < version;
}

void AgentDefinitions::sent(const std::string& definition, uint64_t version) {
    definitions_[definition].version = version;
}

}  // namespace smackd::core
