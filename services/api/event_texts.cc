#include "services/api/event_texts.h"

#include "core/wire/feed.pb.h"
#include "services/api/row_json.h"

namespace smackd::services {

core::Result<std::string> EventTexts::of(const storage::feed::Record& record) {
    Entry& entry = entries_[record.revision.number % kKept];
    if (entry.revision == record.revision && !entry.text.empty()) return entry.text;
    wire::FeedChange change;
    if (!change.ParseFromString(record.encoded)) {
        return core::fail(core::Errc::kCorrupt, "the change {} of the feed is damaged",
                          record.revision.to_string());
    }
    entry = {record.revision, to_json(change).dump()};
    return entry.text;
}

}  // namespace smackd::services
