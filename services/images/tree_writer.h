// TreeWriter: members of an archive become files below one folder, and nowhere else.
//
// Every name is resolved by openat2(RESOLVE_IN_ROOT): symbolic links of the archive, absolute ones and ".."
// too, stay below the folder. It is the second wall; the first is that the process sees nothing but this
// folder (unpack_confinement).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/archive/path.h"
#include "core/archive/tar_reader.h"
#include "services/images/file_descriptor.h"

namespace smackd::services::images {

struct TreeRules {
    /// Layers: whiteouts become overlayfs' form; owners, setuid bits and security.capability are kept.
    /// Otherwise everything belongs to `uid` and `gid`, and no bit but rwx is taken over.
    bool layer = true;
    uint32_t uid = 0;
    uint32_t gid = 0;
};

class TreeWriter final : public core::archive::TarSink {
 public:
    /// `folder` is an open directory (not O_PATH) that the writer has for itself.
    TreeWriter(FileDescriptor folder, TreeRules rules) : root_(std::move(folder)), rules_(rules) {}

    /// kInvalid names the member and the rule; kUnsupported for a hard link to a file of another layer.
    core::Result<void> begin(const core::archive::TarMember& member) override;
    core::Result<void> content(core::BytesView bytes) override;
    core::Result<void> end() override;
    /// After the last member: times of folders, which were changed by what came into them.
    core::Result<void> finish();

    /// Folders that hide what is below them, to be marked by somebody with the right to
    /// (trusted.overlay.opaque);
    /// "" is the top.
    const std::set<std::string>& opaque() const { return opaque_; }
    uint64_t devices_skipped() const { return devices_skipped_; }

 private:
    struct Place;
    struct FolderTime {
        int64_t seconds = 0;
        uint32_t nanoseconds = 0;
    };

    core::Result<int> open_parent(const core::archive::PathComponents& components);
    core::Result<FileDescriptor> open_below(const std::string& path, int flags);
    core::Result<FileDescriptor> make_parents(const core::archive::PathComponents& components);
    core::Result<void> make_way(int parent, const std::string& name, const std::string& path,
                                bool for_folder);
    core::Result<void> white_out(const core::archive::PathComponents& components,
                                 const core::archive::Whiteout& whiteout);
    core::Result<void> make_folder(const core::archive::TarMember& member, int parent,
                                   const std::string& name);
    core::Result<void> make_file(int parent, const std::string& name);
    core::Result<void> make_symlink(const core::archive::TarMember& member, int parent,
                                    const std::string& name);
    core::Result<void> make_hard_link(const core::archive::TarMember& member, int parent,
                                      const std::string& name);
    core::Result<void> make_fifo(const core::archive::TarMember& member, int parent, const std::string& name);
    core::Result<void> set_attributes(const core::archive::TarMember& member, int descriptor);
    core::Result<void> set_link_attributes(const core::archive::TarMember& member, int parent,
                                           const std::string& name);
    uint32_t owner_of(const core::archive::TarMember& member) const {
        return rules_.layer ? member.uid : rules_.uid;
    }
    uint32_t group_of(const core::archive::TarMember& member) const {
        return rules_.layer ? member.gid : rules_.gid;
    }

    FileDescriptor root_;
    TreeRules rules_;
    std::string parent_path_;  // of parent_, while it is open
    FileDescriptor parent_;
    core::archive::TarMember member_;  // the file being written
    FileDescriptor file_;
    std::map<std::string, FolderTime> times_;
    std::set<std::string> opaque_;
    uint64_t devices_skipped_ = 0;
};

}  // namespace smackd::services::images
