#include "core/edge_table.h"

namespace smackd::core {
namespace {

const std::string& key_of(const wire::EdgeApp& app) {
    return app.id();
}
const std::string& key_of(const wire::EdgeTask& task) {
    return task.id();
}
const std::string& key_of(const wire::EdgeName& name) {
    return name.name();
}
const std::string& key_of(const wire::EdgeCertificate& certificate) {
    return certificate.id();
}

template <class Entries>
Result<void> check(const Entries& entries, std::string_view field) {
    if (static_cast<size_t>(entries.size()) > kEdgeEntriesMax)
        return fail(Errc::kInvalid, "{}: more than {}", field, kEdgeEntriesMax);
    for (const auto& entry : entries) {
        if (key_of(entry).empty()) return fail(Errc::kInvalid, "{}: an entry without id or name", field);
        if (key_of(entry).size() > kEdgeKeyBytesMax)
            return fail(Errc::kInvalid, "{}: an id or name is longer than {} bytes", field, kEdgeKeyBytesMax);
    }
    return {};
}

template <class Change>
Result<void> check_all(const Change& change) {
    TRY(check(change.apps(), "apps"));
    TRY(check(change.tasks(), "tasks"));
    TRY(check(change.names(), "names"));
    return check(change.certificates(), "certificates");
}

template <class Entry, class Entries>
void upsert(std::map<std::string, Entry>& into, Entries& entries) {
    for (Entry& entry : entries) {
        std::string key = key_of(entry);
        into.insert_or_assign(std::move(key), std::move(entry));
    }
}

template <class Entry, class Keys>
void remove(std::map<std::string, Entry>& from, const Keys& keys) {
    for (const std::string& key : keys) from.erase(key);
}

}  // namespace

Result<void> EdgeState::replace(wire::EdgeTable table) {
    TRY(check_all(table));
    EdgeState fresh;
    fresh.epoch_ = table.epoch();
    fresh.revision_ = table.revision();
    fresh.settings_ = std::move(*table.mutable_settings());
    upsert(fresh.apps_, *table.mutable_apps());
    upsert(fresh.tasks_, *table.mutable_tasks());
    upsert(fresh.names_, *table.mutable_names());
    upsert(fresh.certificates_, *table.mutable_certificates());
    *this = std::move(fresh);
    return {};
}

Result<void> EdgeState::apply(wire::EdgeDelta delta) {
    if (delta.epoch() != epoch_)
        return fail(Errc::kConflict, "the delta is of epoch {}, the table of {}", delta.epoch(), epoch_);
    if (delta.revision() <= revision_)
        return fail(Errc::kConflict, "revision {} is not newer than {}", delta.revision(), revision_);
    TRY(check_all(delta));
    revision_ = delta.revision();
    if (delta.has_settings()) settings_ = std::move(*delta.mutable_settings());
    remove(apps_, delta.removed_apps());
    remove(tasks_, delta.removed_tasks());
    remove(names_, delta.removed_names());
    remove(certificates_, delta.removed_certificates());
    upsert(apps_, *delta.mutable_apps());
    upsert(tasks_, *delta.mutable_tasks());
    upsert(names_, *delta.mutable_names());
    upsert(certificates_, *delta.mutable_certificates());
    return {};
}

}  // namespace smackd::core
