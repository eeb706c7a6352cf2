// One change of the state as the feed carries it: encoded once, shared by everybody who watches.
#pragma once

#include <memory>
#include <string>

#include "core/bytes.h"
#include "core/ids.h"

namespace smackd::storage::feed {

struct Record {
    core::Revision revision;
    std::string kind;  ///< as in wire.FeedChange
    std::string key;
    std::string tenant;  ///< empty: cluster-wide
    bool removed = false;
    core::Bytes encoded;  ///< wire.FeedChange
};
using RecordPtr = std::shared_ptr<const Record>;

/// Decodes wire.FeedChange; kCorrupt when it is none.
core::Result<RecordPtr> decode_record(core::Bytes encoded);

}  // namespace smackd::storage::feed
