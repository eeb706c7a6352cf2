// The registry as the checker keeps it: a second opinion, of the feed's rows alone.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "core/wire/command.pb.h"
#include "storage/state/reader.h"

namespace smackd::sim::cluster {

struct Model {
    struct MachineRow {
        bool allowed = false;
        bool server = false;
        uint64_t generation = 0;
        bool operator==(const MachineRow&) const = default;
    };
    struct NodeRow {
        std::string machine, key;
        uint64_t generation = 0, epoch = 0;
        std::string zone;
        bool operator==(const NodeRow&) const = default;
    };
    std::map<std::string, MachineRow> machines;
    std::map<uint64_t, NodeRow> nodes;
    uint64_t last_node_id = 0;  ///< the highest ever given

    static core::Result<Model> read(storage::state::View& view);
    /// Follows a change of kind "machine" or "node"; `row` is empty when it was removed.
    void follow(const std::string& kind, const std::string& key, const core::Bytes& row);
    /// Not of one that was given its id later.
    bool refuses(uint64_t node) const;
    /// 0: none.
    uint64_t node_of(const std::string& machine) const;
    std::string zone_of(uint64_t node) const;
};

Model::NodeRow node_row(const wire::PutNode& put);

}  // namespace smackd::sim::cluster
