#include "storage/feed/record.h"

#include "core/wire/feed.pb.h"

namespace smackd::storage::feed {

core::Result<RecordPtr> decode_record(core::Bytes encoded) {
    wire::FeedChange change;
    if (!change.ParseFromString(encoded))
        return core::fail(core::Errc::kCorrupt, "feed: bytes are no wire.FeedChange");
    auto record = std::make_shared<Record>();
    record->revision = {change.epoch(), change.revision()};
    record->kind = std::move(*change.mutable_kind());
    record->key = std::move(*change.mutable_key());
    record->tenant = std::move(*change.mutable_tenant());
    record->removed = change.removed();
    record->encoded = std::move(encoded);
    return record;
}

}  // namespace smackd::storage::feed
