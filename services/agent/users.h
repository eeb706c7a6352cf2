// Who a task runs as: numbers, or names looked up in the task's own /etc/passwd and /etc/group. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace smackd::agent {

inline constexpr uint32_t kIdsPerTask = 65536;  ///< ids 0-65535 exist in a task's user namespace
inline constexpr size_t kUserFileBytesMax = 1 << 20;
inline constexpr size_t kGroupsMax = 256;

struct TaskUser {
    uint32_t uid = 0;
    uint32_t gid = 0;
    std::vector<uint32_t> groups{};  ///< supplementary
    std::string home = "/";
};

/// `user` is "", "NAME", "UID", "NAME:GROUP", "UID:GID" or a mixture; a number need not be in the files. The
/// files are what an image says and may hold anything: lines that are no entries are skipped. kInvalid,
/// kNotFound.
core::Result<TaskUser> find_user(std::string_view user, std::string_view passwd, std::string_view group);

}  // namespace smackd::agent
