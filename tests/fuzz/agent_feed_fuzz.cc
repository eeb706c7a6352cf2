// What a server sends over an agent's stream "feed", item by item, each behind two bytes of its length: the
// copy moves forward or stays as it was.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "core/assert.h"
#include "storage/agent/agent_copy.h"
#include "tests/unit/storage/sqlite/memory_disk.h"

using namespace smackd;

namespace {

constexpr size_t kItemsMax = 64;

class Agent {
 public:
    Agent() {
        auto opened =
            storage::agent::AgentCopy::open(disk_, *vfs_, "/data/agent.db", {"c", core::NodeId{5}}, {});
        SMACK_ASSERT(opened.has_value());
        copy_ = std::move(*opened);
    }

    void take(const wire::AgentFeedItem& item) {
        const core::Revision before = copy_->position();
        const std::string rows = in_snapshot_ ? std::string() : shown();
        const auto moved = copy_->apply(item);
        if (!moved) {
            SMACK_ASSERT(copy_->position() == before);
            // A part of a snapshot goes with the item that does not fit.
            if (!in_snapshot_) SMACK_ASSERT(shown() == rows);
            copy_->abandon();
            in_snapshot_ = false;
            return;
        }
        in_snapshot_ = !*moved;
        SMACK_ASSERT(!(copy_->position() < before));
        if (!*moved) return;
        const core::Revision told{item.epoch(), item.revision()};
        SMACK_ASSERT(copy_->position() == told);
    }

 private:
    std::string shown() {
        std::string text;
        for (const char* kind : {"node", "machine", "task"}) {
            const auto rows = copy_->rows(kind);
            SMACK_ASSERT(rows.has_value());
            for (const wire::AgentRow& row : *rows) text += row.SerializeAsString() + "\n";
        }
        return text;
    }

    test::MemoryDisk disk_;
    std::unique_ptr<storage::sqlite::Vfs> vfs_ = storage::sqlite::Vfs::over_disk(disk_);
    std::unique_ptr<storage::agent::AgentCopy> copy_;
    bool in_snapshot_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    Agent agent;
    for (size_t items = 0; items < kItemsMax && size >= 2; ++items) {
        const size_t length = std::min<size_t>(data[0] + size_t{256} * data[1], size - 2);
        wire::AgentFeedItem item;
        if (!item.ParseFromArray(data + 2, static_cast<int>(length))) return 0;
        agent.take(item);
        data += 2 + length;
        size -= 2 + length;
    }
    return 0;
}
