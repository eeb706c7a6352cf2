// /etc/passwd and /etc/group of an image: whoever is found is somebody whom a task can be.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/assert.h"
#include "services/agent/users.h"

using namespace smackd;

// The input: the user asked for, a NUL, passwd, a NUL, group.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto take = [&] {
        const std::string_view part = text.substr(0, text.find('\0'));
        text.remove_prefix(part.size() < text.size() ? part.size() + 1 : text.size());
        return part;
    };
    const std::string_view user = take();
    const std::string_view passwd = take();
    const auto found = agent::find_user(user, passwd, text);
    if (!found) return 0;
    SMACK_ASSERT(found->uid < agent::kIdsPerTask && found->gid < agent::kIdsPerTask);
    SMACK_ASSERT(found->groups.size() <= agent::kGroupsMax && found->home.starts_with('/'));
    for (const uint32_t group : found->groups) SMACK_ASSERT(group < agent::kIdsPerTask);
    return 0;
}
