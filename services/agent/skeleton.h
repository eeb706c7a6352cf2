// Skeleton: what smackd itself puts into an image's root, as one more layer on top of the image's.
//
// The files and directories of a start would otherwise be made in the overlay's upper directory, that is on
// the disk, a dozen for each task, and taken away again. On a tmpfs they cost microseconds, and the upper
// directory has what the task wrote and nothing else.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "services/agent/descriptor.h"
#include "services/agent/step.h"

namespace smackd::agent {

/// Path in the task without its first slash.
struct SkeletonEntry {
    std::string path;
    bool directory = false;
    uint32_t mode = 0755;
    uint32_t uid = 0;  ///< as the task sees it
    uint32_t gid = 0;
    std::string text{};  ///< of a file
};

/// Decides what goes into the layer; parents before what is in them. A directory that the image has, too,
/// keeps its mode and owner: the topmost layer's are what the task sees. Where the image has something else
/// than directories on the way (a link, say), or with more than kSkeletonMax entries, a path is left to who
/// asked, who makes it in the finished root.
class SkeletonPlan {
 public:
    /// `layers`: of the image, lowest first.
    explicit SkeletonPlan(const std::vector<std::string>& layers);

    /// A file over whatever the image has there. False: left to the caller.
    bool add_file(const std::string& path, const std::string& text);
    /// A place for a mount, if the image has none. False: left to the caller.
    bool add_mount_point(const std::string& path, bool as_file);

    const std::vector<SkeletonEntry>& entries() const { return entries_; }
    std::vector<SkeletonEntry> take() { return std::move(entries_); }

 private:
    enum class Found : uint8_t { kNothing, kDirectory, kOther };
    Found look_up(const std::string& path, SkeletonEntry& into) const;
    bool add_directory(const std::string& path);
    bool has(const std::string& path) const;

    std::vector<Descriptor> layers_;  // topmost first
    std::vector<SkeletonEntry> entries_;
};

inline constexpr size_t kSkeletonMax = 256;

/// The layer, detached; its ids are the host's, `user_base` above the task's.
Stepped<Descriptor> make_skeleton(const std::vector<SkeletonEntry>& entries, uint32_t user_base);

}  // namespace smackd::agent
