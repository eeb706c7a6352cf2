// A disk in memory that forgets like a real one: what was not synced when the power fails is kept, lost or
// torn.
//
// Each write since the last sync survives a power failure whole, not at all, or sector by sector. Names made,
// renamed or removed survive up to a random point unless their folder was synced. A killed process loses
// nothing: the page cache lives on. Bits can be flipped at rest, space can run out, and the disk can be made
// to fail at its n-th call, which is how a crash hits the middle of a write.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "core/disk.h"
#include "core/random.h"

namespace smackd::sim {

inline constexpr size_t kSimSectorBytes = 512;

class Disk final : public core::Disk {
 public:
    explicit Disk(core::Random& random);

    core::Result<std::unique_ptr<core::File>> open(const std::string& path, core::OpenMode mode) override;
    core::Result<void> remove(const std::string& path) override;
    core::Result<void> rename(const std::string& from, const std::string& to) override;
    core::Result<bool> exists(const std::string& path) override;
    core::Result<std::vector<std::string>> list(const std::string& directory) override;
    core::Result<void> make_directory(const std::string& path) override;
    core::Result<void> sync_directory(const std::string& path) override;
    core::Result<uint64_t> free_bytes(const std::string& path) override;

    /// The process died: open files are gone, their contents stay.
    void kill();
    /// The power failed: unsynced writes and names are kept, lost or torn at random.
    void power_failure();

    /// Every call fails from the `calls`-th changing one on, as if the machine stopped inside it.
    void stop_after(uint64_t calls) { calls_left_ = calls; }
    bool stopped() const { return stopped_; }

    /// Flips one bit in a file whose path contains `part`; returns "path byte bit", or empty when there is
    /// none.
    std::string flip_bit(std::string_view part);
    /// Bytes the files may take together; 0 is no limit.
    void set_capacity(uint64_t bytes) { capacity_ = bytes; }
    uint64_t used() const { return used_; }
    uint64_t syncs() const { return syncs_; }
    uint64_t torn_writes() const { return torn_writes_; }
    uint64_t lost_writes() const { return lost_writes_; }
    /// Writes refused for want of space.
    uint64_t full_writes() const { return full_writes_; }

    struct Node;

 private:
    class OpenFile;
    struct Place {
        Node* folder = nullptr;
        std::string name;
        std::shared_ptr<Node> node;  ///< empty when there is none of that name
    };

    core::Result<Place> find(const std::string& path);
    core::Result<void> step();
    bool grow(Node& node, uint64_t size);
    void settle(Node& node);
    void settle_file(Node& node);
    void keep_all(Node& node);
    void collect(Node& node, const std::string& path, std::string_view part,
                 std::vector<std::pair<std::string, Node*>>& out);

    core::Random& random_;
    std::shared_ptr<Node> root_;
    uint64_t generation_ = 0;  ///< raised by kill and power failure: older handles are dead
    std::optional<uint64_t> calls_left_;
    bool stopped_ = false;
    uint64_t capacity_ = 0;
    uint64_t used_ = 0;
    uint64_t syncs_ = 0;
    uint64_t torn_writes_ = 0;
    uint64_t lost_writes_ = 0;
    uint64_t full_writes_ = 0;
};

}  // namespace smackd::sim
