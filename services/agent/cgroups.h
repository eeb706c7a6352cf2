// Control groups of tasks: one group a task under smackd-NAME, in every hierarchy that counts.
//
// Three layouts: pure v2; pure v1; hybrid (controllers on v1 mounts, an empty v2 tree beside, which still
// gives cgroup.kill). The controllers used are cpu, memory and pids; cpuacct only counts, and v1's cpuset
// limits nothing: JVMs look for their limits only where they find it.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/wire/task.pb.h"
#include "services/agent/descriptor.h"
#include "services/agent/step.h"

namespace smackd::agent {

struct CgroupLayout {
    bool controllers_on_v2 = false;
    std::string v2{};                         ///< mount point of cgroup2; empty: there is none
    std::map<std::string, std::string> v1{};  ///< controller -> mount point
};

/// From the text of /proc/self/mountinfo.
CgroupLayout parse_cgroup_layout(std::string_view mountinfo);

/// One file of a group to be written. A file that is optional may be missing or refuse (no swap accounting,
/// say).
struct CgroupSetting {
    std::string controller;
    std::string file;
    std::string value;
    bool optional = false;
};
std::vector<CgroupSetting> cgroup_settings(bool v2, const wire::TaskLimits& limits);

class CgroupTree {
 public:
    /// `name`: all groups are under smackd-NAME at the top of each hierarchy.
    static Stepped<CgroupTree> open(const std::string& name);
    /// The same where it was opened before, by the launcher: nothing is made.
    static Stepped<CgroupTree> find(const std::string& name);

    /// Makes the task's group with its limits; the umask must leave others their right to read. Step
    /// "cgroup".
    Stepped<void> make(const std::string& group, const wire::TaskLimits& limits) const;
    /// A directory for CLONE_INTO_CGROUP; none in a pure v1 layout.
    Stepped<Descriptor> v2_directory(const std::string& group) const;
    /// v1's `tasks` files: a process that writes "0" to each joins. Empty in a pure v2 layout.
    Stepped<std::vector<Descriptor>> v1_join_files(const std::string& group) const;
    /// Moves a process there, from outside.
    Stepped<void> add(const std::string& group, int pid) const;

    /// Now; zeros for what the kernel does not tell.
    wire::TaskUsage usage(const std::string& group) const;
    uint64_t out_of_memory_kills(const std::string& group) const;
    /// A descriptor that poll() finds readable (POLLIN, or POLLPRI for v2) when the group has run out of
    /// memory. May be empty.
    struct OutOfMemoryNotice {
        Descriptor descriptor{};
        Descriptor kept{};  ///< v1: the control file, which must stay open
    };
    OutOfMemoryNotice out_of_memory_notice(const std::string& group) const;

    std::vector<int> processes(const std::string& group) const;
    /// SIGKILL to all in it.
    void kill(const std::string& group) const;
    /// Removes the group, everywhere. False while something runs in it.
    bool remove(const std::string& group) const;
    /// Groups that are there, in any hierarchy.
    std::vector<std::string> list() const;
    /// Removes smackd-NAME itself, once it is empty.
    void remove_top() const;

    const CgroupLayout& layout() const { return layout_; }
    /// The group's directory for `controller`; for "" that of v2.
    std::string directory(const std::string& controller, const std::string& group) const;

 private:
    /// Each directory of the group once, v2's last.
    std::vector<std::string> directories(const std::string& group) const;
    uint64_t number(const std::string& controller, const std::string& group, const std::string& file,
                    std::string_view key = {}) const;

    CgroupLayout layout_;
    std::string top_;  // "smackd-NAME"
};

}  // namespace smackd::agent
