#include "tests/sim/disk.h"

#include <algorithm>
#include <cstring>
#include <format>

namespace smackd::sim {
namespace {

struct Write {
    uint64_t offset = 0;
    core::Bytes bytes;
};
struct Resize {
    uint64_t size = 0;
};

struct NameChange {
    std::string remove;  ///< empty: nothing
    std::string add;     ///< empty: nothing
    std::shared_ptr<Disk::Node> node;
};

}  // namespace

struct Disk::Node {
    bool folder = false;
    // A file: what reads see, what is safe, and the difference in order.
    core::Bytes live;
    core::Bytes safe;
    std::vector<std::variant<Write, Resize>> pending;
    // A folder.
    std::map<std::string, std::shared_ptr<Node>> names;
    std::map<std::string, std::shared_ptr<Node>> safe_names;
    std::vector<NameChange> name_changes;
};

namespace {

void replay(core::Bytes& target, const Write& write) {
    if (target.size() < write.offset + write.bytes.size())
        target.resize(write.offset + write.bytes.size(), '\0');
    std::memcpy(target.data() + write.offset, write.bytes.data(), write.bytes.size());
}

void replay(std::map<std::string, std::shared_ptr<Disk::Node>>& names, const NameChange& change) {
    if (!change.remove.empty()) names.erase(change.remove);
    if (!change.add.empty()) names[change.add] = change.node;
}

}  // namespace

class Disk::OpenFile final : public core::File {
 public:
    OpenFile(Disk& disk, std::shared_ptr<Node> node)
        : disk_(disk), node_(std::move(node)), made_in_(disk.generation_) {}

    core::Result<size_t> read_at(uint64_t offset, char* buffer, size_t length) override {
        TRY(alive());
        if (offset >= node_->live.size()) return size_t{0};
        const size_t count = std::min<size_t>(length, node_->live.size() - offset);
        std::memcpy(buffer, node_->live.data() + offset, count);
        return count;
    }
    core::Result<void> write_at(uint64_t offset, core::BytesView bytes) override {
        TRY(alive());
        if (!disk_.grow(*node_, offset + bytes.size()))
            return core::fail(core::Errc::kDiskFull, "no space left");
        Write write{.offset = offset, .bytes = core::Bytes(bytes)};
        replay(node_->live, write);
        node_->pending.emplace_back(std::move(write));
        return disk_.step();
    }
    core::Result<void> sync() override {
        TRY(alive());
        TRY(disk_.step());
        ++disk_.syncs_;
        disk_.keep_all(*node_);
        return {};
    }
    core::Result<void> truncate(uint64_t size) override {
        TRY(alive());
        if (!disk_.grow(*node_, size)) return core::fail(core::Errc::kDiskFull, "no space left");
        if (size < node_->live.size()) disk_.used_ -= node_->live.size() - size;
        node_->live.resize(size, '\0');
        node_->pending.emplace_back(Resize{size});
        return disk_.step();
    }
    core::Result<void> allocate(uint64_t size) override {
        TRY(alive());
        return size > node_->live.size() ? truncate(size) : core::Result<void>{};
    }
    core::Result<uint64_t> size() override {
        TRY(alive());
        return node_->live.size();
    }

 private:
    core::Result<void> alive() const {
        if (disk_.stopped_ || disk_.generation_ != made_in_)
            return core::fail(core::Errc::kIo, "the disk is gone");
        return {};
    }
    Disk& disk_;
    std::shared_ptr<Node> node_;
    uint64_t made_in_;
};

Disk::Disk(core::Random& random) : random_(random), root_(std::make_shared<Node>()) {
    root_->folder = true;
}

/// Counts a call that changes something; from the chosen one on everything fails.
core::Result<void> Disk::step() {
    if (stopped_) return core::fail(core::Errc::kIo, "the disk is gone");
    if (calls_left_) {
        if (*calls_left_ == 0) {
            stopped_ = true;
            return core::fail(core::Errc::kIo, "the disk is gone");
        }
        --*calls_left_;
    }
    return {};
}

bool Disk::grow(Node& node, uint64_t size) {
    if (size <= node.live.size()) return true;
    const uint64_t more = size - node.live.size();
    if (capacity_ != 0 && used_ + more > capacity_) {
        ++full_writes_;
        return false;
    }
    used_ += more;
    return true;
}

core::Result<Disk::Place> Disk::find(const std::string& path) {
    if (stopped_) return core::fail(core::Errc::kIo, "the disk is gone");
    Place place;
    std::shared_ptr<Node> node = root_;
    size_t at = 0;
    while (at < path.size()) {
        const size_t slash = std::min(path.find('/', at), path.size());
        const std::string name = path.substr(at, slash - at);
        at = slash + 1;
        if (name.empty() || name == ".") continue;
        if (!node || !node->folder) return core::fail(core::Errc::kNotFound, "no '{}'", path);
        place.folder = node.get();
        place.name = name;
        const auto found = node->names.find(name);
        node = found == node->names.end() ? nullptr : found->second;
    }
    place.node = node;
    return place;
}

core::Result<std::unique_ptr<core::File>> Disk::open(const std::string& path, core::OpenMode mode) {
    TRY_ASSIGN(Place place, find(path));
    if (place.node && place.node->folder) return core::fail(core::Errc::kIo, "'{}' is a folder", path);
    if (place.node && mode == core::OpenMode::kCreateNew)
        return core::fail(core::Errc::kConflict, "'{}' exists", path);
    if (!place.node) {
        if (mode == core::OpenMode::kRead || mode == core::OpenMode::kReadWrite) {
            return core::fail(core::Errc::kNotFound, "no '{}'", path);
        }
        place.node = std::make_shared<Node>();
        NameChange change{.remove = {}, .add = place.name, .node = place.node};
        replay(place.folder->names, change);
        place.folder->name_changes.push_back(std::move(change));
        TRY(step());
    }
    return std::unique_ptr<core::File>(std::make_unique<OpenFile>(*this, place.node));
}

core::Result<void> Disk::remove(const std::string& path) {
    TRY_ASSIGN(const Place place, find(path));
    if (!place.node) return core::fail(core::Errc::kNotFound, "no '{}'", path);
    if (place.node->folder && !place.node->names.empty())
        return core::fail(core::Errc::kIo, "'{}' is not empty", path);
    used_ -= place.node->live.size();
    NameChange change{.remove = place.name, .add = {}, .node = nullptr};
    replay(place.folder->names, change);
    place.folder->name_changes.push_back(std::move(change));
    return step();
}

core::Result<void> Disk::rename(const std::string& from, const std::string& to) {
    TRY_ASSIGN(const Place source, find(from));
    TRY_ASSIGN(const Place target, find(to));
    if (!source.node || !target.folder) return core::fail(core::Errc::kNotFound, "no '{}'", from);
    if (target.node && target.node->folder) return core::fail(core::Errc::kIo, "'{}' is a folder", to);
    if (target.node) used_ -= target.node->live.size();
    if (source.folder == target.folder) {
        NameChange change{.remove = source.name, .add = target.name, .node = source.node};
        replay(source.folder->names, change);
        source.folder->name_changes.push_back(std::move(change));
        return step();
    }
    NameChange add{.remove = {}, .add = target.name, .node = source.node};
    replay(target.folder->names, add);
    target.folder->name_changes.push_back(std::move(add));
    NameChange drop{.remove = source.name, .add = {}, .node = nullptr};
    replay(source.folder->names, drop);
    source.folder->name_changes.push_back(std::move(drop));
    return step();
}

core::Result<bool> Disk::exists(const std::string& path) {
    if (stopped_) return core::fail(core::Errc::kIo, "the disk is gone");
    const auto place = find(path);
    return place && place->node != nullptr;
}

core::Result<std::vector<std::string>> Disk::list(const std::string& directory) {
    TRY_ASSIGN(const Place place, find(directory));
    if (!place.node || !place.node->folder)
        return core::fail(core::Errc::kNotFound, "no folder '{}'", directory);
    std::vector<std::string> names;
    for (const auto& [name, node] : place.node->names) names.push_back(name);
    return names;
}

core::Result<void> Disk::make_directory(const std::string& path) {
    for (size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
        TRY_ASSIGN(const Place place, find(path.substr(0, end)));
        if (!place.node) {
            NameChange change{.remove = {}, .add = place.name, .node = std::make_shared<Node>()};
            change.node->folder = true;
            replay(place.folder->names, change);
            place.folder->name_changes.push_back(std::move(change));
            TRY(step());
        } else if (!place.node->folder) {
            return core::fail(core::Errc::kIo, "'{}' is a file", path);
        }
        if (end == std::string::npos) return {};
    }
}

core::Result<void> Disk::sync_directory(const std::string& path) {
    TRY_ASSIGN(const Place place, find(path));
    if (!place.node || !place.node->folder) return core::fail(core::Errc::kNotFound, "no folder '{}'", path);
    TRY(step());
    place.node->safe_names = place.node->names;
    place.node->name_changes.clear();
    return {};
}

core::Result<uint64_t> Disk::free_bytes(const std::string&) {
    if (capacity_ == 0) return uint64_t{1} << 40U;
    return capacity_ > used_ ? capacity_ - used_ : 0;
}

void Disk::kill() {
    ++generation_;
    stopped_ = false;
    calls_left_.reset();
}

void Disk::power_failure() {
    kill();
    settle(*root_);
    used_ = 0;
    std::vector<std::pair<std::string, Node*>> files;
    collect(*root_, "", "", files);
    for (const auto& [path, node] : files) used_ += node->live.size();
}

void Disk::keep_all(Node& node) {
    for (const auto& change : node.pending) {
        if (const Write* write = std::get_if<Write>(&change)) {
            replay(node.safe, *write);
        } else {
            node.safe.resize(std::get<Resize>(change).size, '\0');
        }
    }
    node.pending.clear();
}

void Disk::settle(Node& node) {
    if (!node.folder) return settle_file(node);
    const size_t kept = node.name_changes.empty() ? 0 : random_.below(node.name_changes.size() + 1);
    for (size_t i = 0; i < kept; ++i) replay(node.safe_names, node.name_changes[i]);
    node.name_changes.clear();
    node.names = node.safe_names;
    for (const auto& [name, child] : node.names) settle(*child);
}

void Disk::settle_file(Node& node) {
    for (const auto& change : node.pending) {
        const uint64_t fate = random_.below(3);
        if (fate == 0) {
            ++lost_writes_;
            continue;
        }
        if (const Resize* resize = std::get_if<Resize>(&change)) {
            node.safe.resize(resize->size, '\0');
            continue;
        }
        const Write& write = std::get<Write>(change);
        if (fate == 1) {
            replay(node.safe, write);
            continue;
        }
        ++torn_writes_;
        // Sectors are those of the file, not of the write.
        for (uint64_t at = 0; at < write.bytes.size();) {
            const uint64_t end = ((write.offset + at) / kSimSectorBytes + 1) * kSimSectorBytes - write.offset;
            const uint64_t length = std::min<uint64_t>(end, write.bytes.size()) - at;
            if (random_.below(2) == 0)
                replay(node.safe, Write{write.offset + at, write.bytes.substr(at, length)});
            at += length;
        }
    }
    node.pending.clear();
    node.live = node.safe;
}

void Disk::collect(Node& node, const std::string& path, std::string_view part,
                   std::vector<std::pair<std::string, Node*>>& out) {
    if (!node.folder) {
        if (path.contains(part) && !node.live.empty()) out.emplace_back(path, &node);
        return;
    }
    for (const auto& [name, child] : node.names) collect(*child, std::format("{}/{}", path, name), part, out);
}

std::string Disk::flip_bit(std::string_view part) {
    std::vector<std::pair<std::string, Node*>> files;
    collect(*root_, "", part, files);
    if (files.empty()) return {};
    const auto& [path, node] = files[random_.below(files.size())];
    // Most of a preallocated file is blank: mostly a byte that means something is wanted.
    uint64_t at = random_.below(node->live.size());
    if (!random_.one_in(8)) {
        const size_t next = node->live.find_first_not_of('\0', at);
        at = next == core::Bytes::npos ? at : next;
    }
    const auto bit = static_cast<unsigned>(random_.below(8));
    const auto flip = [&](core::Bytes& bytes) {
        if (at < bytes.size())
            bytes[at] = static_cast<char>(static_cast<unsigned char>(bytes[at]) ^ (1U << bit));
    };
    keep_all(*node);
    flip(node->live);
    flip(node->safe);
    return std::format("{} byte {} bit {}", path, at, bit);
}

}  // namespace smackd::sim
