// RootPlan: what a task sees as its file system, as a list decided before its process exists.
//
// The shim makes the mounts (it has the rights), the task's process puts them in place (they are to be in its
// namespace alone). The plan is made before the process is cloned, so both know it; the descriptors are sent
// afterwards.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/wire/task.pb.h"
#include "services/agent/cgroups.h"
#include "services/agent/descriptor.h"
#include "services/agent/skeleton.h"
#include "services/agent/step.h"

namespace smackd::agent {

inline constexpr const char* kDefaultSandboxPath = "/mnt/mesos/sandbox";
inline constexpr const char* kDefaultIdentityPath = "/run/smackd";
inline constexpr uint64_t kDefaultTmpBytes = 64ULL << 20U;

/// Where the overlay of an image keeps what the task writes, in the task's directory.
inline constexpr std::array kOverlayDirectories = {"upper", "work"};

/// One mount inside the task, in the order they are put in place.
struct RootPart {
    enum class Kind : uint8_t { kCopy, kTmpfs, kDevices, kTerminals, kSysfs };
    Kind kind = Kind::kCopy;
    std::string step;
    std::string source{};  ///< kCopy: on the host
    std::string target{};  ///< in the task
    uint64_t attributes = 0;
    bool file = false;
    bool recursive = false;
    bool id_mapped = false;
    bool optional = false;  ///< left out when the target is not in the task's /proc or /sys
    bool dispensable =
        false;             ///< left out when the target cannot be made: the image has something else there
    uint64_t size = 0;     ///< kTmpfs
    uint32_t mode = 0755;  ///< kTmpfs
};

struct RootPlan {
    std::vector<RootPart> parts{};
    std::vector<std::pair<std::string, std::string>> links{};  ///< path in the task, what it points to
    std::vector<std::pair<std::string, std::string>> files{};  ///< path in the task, its text: written anew
    std::vector<SkeletonEntry> skeleton{};       ///< of an image's root; what of it could be known before
    std::vector<std::string> read_only_paths{};  ///< of the kernel's, in the task; those that are there
    bool image = false;      ///< overlay of spec.rootfs; else a small tmpfs with the host's programs
    bool cgroup2 = false;    ///< the task's own tree at /sys/fs/cgroup
    bool read_only = false;  ///< at the end
};

/// What the shim knows besides the specification.
struct RootContext {
    std::string task_directory{};  ///< with upper, work, root, staging
    uint32_t user_base = 0;        ///< first id of the task's range; 0: the host's ids
    bool own_network = false;      ///< its /sys shows its own network devices
    std::string gateway{};         ///< where DNS is, for tasks on the bridge
    const CgroupTree* cgroups = nullptr;
    std::string group{};
};

RootPlan plan_root(const wire::TaskSpec& spec, const RootContext& context);

struct RootMounts {
    std::vector<Descriptor> mounts{};  ///< the root first, then one a part, in order
    std::vector<Descriptor> layers{};  ///< what the root was made of; see Overlay
};
/// The mounts of the plan. `user_namespace` is the task's (or -1). Called in the task's network namespace.
Stepped<RootMounts> make_mounts(const wire::TaskSpec& spec, const RootContext& context, const RootPlan& plan,
                                int user_namespace);

/// In the task's process, still with the host's ids: puts the root over TASK_DIRECTORY of its own mount
/// namespace and returns it.
Stepped<Descriptor> attach_root(const RootContext& context, int root_mount);
/// Then, as root of its user namespace: everything else. The working directory is the new root afterwards,
/// the old one is gone.
Stepped<void> enter_root(const RootPlan& plan, int root, const std::vector<Descriptor>& mounts);

}  // namespace smackd::agent
