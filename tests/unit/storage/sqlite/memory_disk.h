// A disk in memory for unit tests: files are shared like inodes, faults are switched on by hand.
#pragma once

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "core/disk.h"

namespace smackd::test {

class MemoryDisk final : public core::Disk {
 public:
    struct Node {
        std::string now;     ///< what readers see
        std::string synced;  ///< what survives lose_unsynced()
    };
    using NodePtr = std::shared_ptr<Node>;

    bool full = false;               ///< writes fail with kDiskFull
    bool broken = false;             ///< writes and syncs fail with kIo
    bool dead = false;               ///< everything fails with kIo, as after a power cut
    uint64_t writes_until_dead = 0;  ///< 0: never; else the disk dies at that many writes from now

    core::Result<std::unique_ptr<core::File>> open(const std::string& path, core::OpenMode mode) override {
        const std::scoped_lock lock(mutex_);
        if (dead) return core::fail(core::Errc::kIo, "the power is out");
        auto found = files_.find(path);
        const bool create = mode == core::OpenMode::kCreate || mode == core::OpenMode::kCreateNew;
        if (found == files_.end() && !create) return core::fail(core::Errc::kNotFound, "{}: not there", path);
        if (found != files_.end() && mode == core::OpenMode::kCreateNew) {
            return core::fail(core::Errc::kConflict, "{}: exists", path);
        }
        if (found == files_.end()) found = files_.emplace(path, std::make_shared<Node>()).first;
        return std::make_unique<OpenFile>(*this, found->second);
    }
    core::Result<void> remove(const std::string& path) override {
        const std::scoped_lock lock(mutex_);
        if (dead) return core::fail(core::Errc::kIo, "the power is out");
        if (files_.erase(path) == 0) return core::fail(core::Errc::kNotFound, "{}: not there", path);
        return {};
    }
    core::Result<void> rename(const std::string& from, const std::string& to) override {
        const std::scoped_lock lock(mutex_);
        if (dead) return core::fail(core::Errc::kIo, "the power is out");
        const auto found = files_.find(from);
        if (found == files_.end()) return core::fail(core::Errc::kNotFound, "{}: not there", from);
        const NodePtr node = found->second;
        files_.erase(found);
        files_[to] = node;
        return {};
    }
    core::Result<bool> exists(const std::string& path) override {
        const std::scoped_lock lock(mutex_);
        if (dead) return core::fail(core::Errc::kIo, "the power is out");
        return files_.contains(path) || directories_.contains(path);
    }
    core::Result<std::vector<std::string>> list(const std::string& directory) override {
        const std::scoped_lock lock(mutex_);
        std::vector<std::string> names;
        for (const auto& [path, node] : files_) {
            if (path.starts_with(directory + "/") &&
                path.find('/', directory.size() + 1) == std::string::npos) {
                names.push_back(path.substr(directory.size() + 1));
            }
        }
        return names;
    }
    core::Result<void> make_directory(const std::string& path) override {
        const std::scoped_lock lock(mutex_);
        directories_.insert(path);
        return {};
    }
    core::Result<void> sync_directory(const std::string&) override {
        if (dead) return core::fail(core::Errc::kIo, "the power is out");
        return {};
    }
    core::Result<uint64_t> free_bytes(const std::string&) override { return full ? 0U : 1U << 30U; }

    /// The node behind a path, or nullptr.
    NodePtr node(const std::string& path) {
        const std::scoped_lock lock(mutex_);
        const auto found = files_.find(path);
        return found == files_.end() ? nullptr : found->second;
    }
    std::vector<std::string> paths() {
        const std::scoped_lock lock(mutex_);
        std::vector<std::string> all;
        for (const auto& [path, node] : files_) all.push_back(path);
        return all;
    }
    /// What a power cut leaves: the bytes of the last sync. Names are kept.
    void lose_unsynced() {
        const std::scoped_lock lock(mutex_);
        for (auto& [path, node] : files_) node->now = node->synced;
    }
    /// Copies the contents as they are now, as if it were another disk with the same files.
    std::map<std::string, std::string> image() {
        const std::scoped_lock lock(mutex_);
        std::map<std::string, std::string> bytes;
        for (const auto& [path, node] : files_) bytes[path] = node->now;
        return bytes;
    }
    void load(const std::map<std::string, std::string>& bytes) {
        const std::scoped_lock lock(mutex_);
        files_.clear();
        for (const auto& [path, content] : bytes)
            files_[path] = std::make_shared<Node>(Node{content, content});
    }

 private:
    class OpenFile final : public core::File {
     public:
        OpenFile(MemoryDisk& disk, NodePtr node) : disk_(disk), node_(std::move(node)) {}
        core::Result<size_t> read_at(uint64_t offset, char* buffer, size_t length) override {
            const std::scoped_lock lock(disk_.mutex_);
            if (disk_.dead) return core::fail(core::Errc::kIo, "the power is out");
            if (offset >= node_->now.size()) return size_t{0};
            const size_t count = std::min(length, node_->now.size() - offset);
            std::memcpy(buffer, node_->now.data() + offset, count);
            return count;
        }
        core::Result<void> write_at(uint64_t offset, core::BytesView bytes) override {
            const std::scoped_lock lock(disk_.mutex_);
            TRY(disk_.may_write());
            if (node_->now.size() < offset + bytes.size()) node_->now.resize(offset + bytes.size());
            std::memcpy(node_->now.data() + offset, bytes.data(), bytes.size());
            return {};
        }
        core::Result<void> sync() override {
            const std::scoped_lock lock(disk_.mutex_);
            if (disk_.dead || disk_.broken) return core::fail(core::Errc::kIo, "sync failed");
            node_->synced = node_->now;
            return {};
        }
        core::Result<void> truncate(uint64_t size) override {
            const std::scoped_lock lock(disk_.mutex_);
            if (disk_.dead) return core::fail(core::Errc::kIo, "the power is out");
            node_->now.resize(size);
            return {};
        }
        core::Result<void> allocate(uint64_t size) override {
            const std::scoped_lock lock(disk_.mutex_);
            if (node_->now.size() < size) node_->now.resize(size);
            return {};
        }
        core::Result<uint64_t> size() override {
            const std::scoped_lock lock(disk_.mutex_);
            if (disk_.dead) return core::fail(core::Errc::kIo, "the power is out");
            return node_->now.size();
        }

     private:
        MemoryDisk& disk_;
        NodePtr node_;
    };

    core::Result<void> may_write() {
        if (writes_until_dead > 0 && --writes_until_dead == 0) dead = true;
        if (dead) return core::fail(core::Errc::kIo, "the power is out");
        if (full) return core::fail(core::Errc::kDiskFull, "no space left");
        if (broken) return core::fail(core::Errc::kIo, "write failed");
        return {};
    }

    std::mutex mutex_;
    std::map<std::string, NodePtr> files_;
    std::set<std::string> directories_;
};

}  // namespace smackd::test
