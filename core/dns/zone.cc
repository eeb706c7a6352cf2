#include "core/dns/zone.h"

#include <algorithm>
#include <tuple>

namespace smackd::core::dns {
namespace {

bool goes_before(const Record& left, const Record& right) {
    return std::tie(left.type, left.data, left.tenant) < std::tie(right.type, right.data, right.tenant);
}

BytesView parent_of(BytesView name) {
    return name.substr(1 + static_cast<uint8_t>(name[0]));
}

}  // namespace

const Node* Zone::find(BytesView name) const {
    auto found = nodes_.find(name);
    return found == nodes_.end() ? nullptr : &found->second;
}

// A new name counts at its parent, which may be new itself.
Zone::Position Zone::reach(BytesView name) {
    auto found = nodes_.find(name);
    if (found != nodes_.end()) return &*found;
    Position made = &*nodes_.emplace(Bytes(name), Node{}).first;
    if (name.size() > 1) ++reach(parent_of(name))->second.children;
    return made;
}

void Zone::drop_if_empty(Position position) {
    while (position->second.records.empty() && position->second.children == 0) {
        const Bytes name = position->first;
        nodes_.erase(name);
        if (name.size() <= 1) return;
        position = &*nodes_.find(parent_of(name));
        --position->second.children;
    }
}

void Zone::take_away(Owner& owner) {
    std::vector<Position> positions = std::move(owner.at);
    owner.at.clear();
    std::ranges::sort(positions);
    positions.erase(std::ranges::unique(positions).begin(), positions.end());
    for (Position position : positions)
        std::erase_if(position->second.records,
                      [&](const Record& record) { return record.owner == owner.id; });
    // Only now: dropping one may drop another of the list, which then is empty as well.
    std::vector<Bytes> empty;
    for (Position position : positions) {
        if (position->second.records.empty() && position->second.children == 0)
            empty.push_back(position->first);
    }
    for (const Bytes& name : empty) {
        auto found = nodes_.find(name);
        if (found != nodes_.end()) drop_if_empty(&*found);
    }
}

void Zone::set(std::string_view owner_name, std::vector<NamedRecord> records) {
    auto found = owners_.find(owner_name);
    if (found == owners_.end()) {
        if (records.empty()) return;
        found = owners_.emplace(std::string(owner_name), Owner{++last_owner_, {}}).first;
    }
    Owner& owner = found->second;
    take_away(owner);
    for (NamedRecord& named : records) {
        Position position = reach(named.name);
        std::vector<Record>& there = position->second.records;
        named.record.owner = owner.id;
        there.insert(std::ranges::upper_bound(there, named.record, goes_before), std::move(named.record));
        owner.at.push_back(position);
    }
    if (records.empty()) owners_.erase(found);
}

TenantId TenantNumbers::of(std::string_view name) {
    if (name.empty()) return kEverybody;
    auto found = numbers_.find(name);
    if (found != numbers_.end()) return found->second;
    // Numbers run out far above what a cluster has; the last one is then shared, and its tenants see each
    // other.
    const size_t next = std::min<size_t>(numbers_.size() + 1, kStranger - 1);
    return numbers_.emplace(std::string(name), static_cast<TenantId>(next)).first->second;
}

void Zone::set_source(std::string_view owner_name, std::vector<IpAddress> addresses, TenantId tenant) {
    auto found = source_owners_.find(owner_name);
    if (found != source_owners_.end()) {
        for (const IpAddress& address : found->second.addresses) {
            auto source = sources_.find(address);
            if (source != sources_.end() && --source->second.uses == 0) sources_.erase(source);
        }
        source_owners_.erase(found);
    }
    if (addresses.empty()) return;
    for (const IpAddress& address : addresses) {
        Source& source = sources_[address];
        source.tenant = tenant;
        ++source.uses;
    }
    source_owners_.emplace(std::string(owner_name), SourceOwner{std::move(addresses), tenant});
}

TenantId Zone::tenant_of(const IpAddress& source) const {
    if (const auto found = sources_.find(source); found != sources_.end()) return found->second.tenant;
    const bool task =
        std::ranges::any_of(task_networks, [&](const auto& net) { return net.contains(source); });
    return task ? kStranger : kEverybody;
}

}  // namespace smackd::core::dns
