// A series of placements of one app: see placement.h.
#include <algorithm>
#include <functional>

#include "core/apps/placement.h"
#include "core/planted.h"

namespace smackd::apps {

using wire::AppDefinition;
using wire::Constraint;

namespace {

uint32_t count_of(const std::vector<uint32_t>& counts, uint32_t value) {
    return value < counts.size() ? counts[value] : 0;
}

/// True when it is the first of its value.
bool count_up(std::vector<uint32_t>& counts, uint32_t value) {
    if (value >= counts.size()) counts.resize(value + 1, 0);
    return ++counts[value] == 1;
}

double share(uint64_t part, uint64_t whole) {
    return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

Placement::Series::Series(Placement& placement, const AppDefinition& app, Constraints& constraints)
    : placement_(placement), demand_(app), constraints_(constraints) {
    for (const auto& roles : placement.roles_)
        roles_fit_.push_back(
            std::ranges::any_of(roles, [&](const std::string& role) { return accepts_role(app, role); }));
    for (const ConstraintRule& rule : constraints.rules()) {
        if (rule.op == Constraint::GROUP_BY) balanced_.push_back(watches_.size());
        watches_.push_back(watch(rule));
    }
    for (const auto& [node, tasks] : constraints.tasks()) {
        const auto found = placement.index_.find(node);
        if (found != placement.index_.end()) tasks_[found->second] = tasks;
    }
    if (balanced_.empty()) groups_.emplace_back().candidates.reserve(placement.slots_.size());
    Levels levels(balanced_.size());
    for (size_t i = 0; i < placement.slots_.size(); ++i) {
        if (fits(i)) groups_[group_of(i, levels)].candidates.push_back(candidate(i));
    }
    for (size_t group = 0; group < groups_.size(); ++group) {
        std::ranges::make_heap(groups_[group].candidates, std::greater());
        if (const auto found = rank(group)) ranks_.push_back(*found);
    }
    std::ranges::make_heap(ranks_, std::greater());
}

Placement::Series::Watch Placement::Series::watch(const ConstraintRule& rule) const {
    const Column& column = placement_.column(rule.field);
    Watch watch;
    watch.op = rule.op;
    watch.number = rule.number;
    watch.of_slot = &column.of_slot;
    watch.fixed = rule.is_fixed();
    watch.without_value = rule.allows(std::nullopt);
    if (watch.fixed) {
        watch.fits.push_back(watch.without_value);
        for (const std::string& value : column.values) watch.fits.push_back(rule.allows(value));
        return watch;
    }
    const auto numbers_of = [&](const std::map<std::string, uint32_t>& counts,
                                std::vector<uint32_t>& by_value) {
        for (const auto& [value, count] : counts) {
            const auto found = column.numbers.find(value);
            if (found == column.numbers.end()) continue;
            count_up(by_value, found->second);
            by_value[found->second] = count;
        }
        return static_cast<uint32_t>(counts.size());
    };
    watch.values_placed = numbers_of(rule.placed, watch.placed);
    watch.values_staying = numbers_of(rule.staying, watch.staying);
    return watch;
}

bool Placement::Series::Watch::allows(size_t index) const {
    const uint32_t value = (*of_slot)[index];
    if (fixed) return fits[value];
    if (value == 0) return without_value;
    switch (op) {
        case Constraint::UNIQUE:
            return count_of(placed, value) == 0;
        case Constraint::CLUSTER:
            return values_placed == 0 || count_of(placed, value) > 0;
        case Constraint::GROUP_BY:
            return number == 0 || count_of(staying, value) > 0 || values_staying < number;
        case Constraint::MAX_PER:
            return count_of(placed, value) < number;
        default:
            return false;
    }
}

void Placement::Series::Watch::add(size_t index) {
    const uint32_t value = (*of_slot)[index];
    if (fixed || value == 0) return;
    if (!SMACK_BUG("placement_forgets_placed")) values_placed += count_up(placed, value);
    values_staying += count_up(staying, value);
}

bool Placement::Series::allowed(size_t index) const {
    return std::ranges::all_of(watches_, [&](const Watch& watch) { return watch.allows(index); });
}

bool Placement::Series::fits(size_t index) const {
    const Slot& slot = placement_.slots_[index];
    return slot.open && roles_fit_[slot.roles] && (!demand_.host_network || slot.host_network) &&
           placement_.has_resources(slot, demand_) && allowed(index) &&
           placement_.has_ports(slot, placement_.ports_[index], demand_);
}

/// The load is in parts per million of the scarcer of cpu and memory, with one more task.
Placement::Series::Candidate Placement::Series::candidate(size_t index) const {
    const Slot& slot = placement_.slots_[index];
    const double cpu = share(slot.cpus_used + demand_.cpus_milli, slot.cpus);
    const double memory = share(slot.memory_used + demand_.memory_bytes, slot.memory);
    const auto there = tasks_.empty() ? tasks_.end() : tasks_.find(index);
    return {.tasks = there == tasks_.end() ? 0 : there->second,
            .load = static_cast<uint64_t>(std::max(cpu, memory) * 1e6),
            .id = SMACK_BUG("placement_by_order") ? core::NodeId{index} : slot.node->id,
            .index = index};
}

/// Groups are found one GROUP_BY after the other: what the first ones make of a node and the next value.
size_t Placement::Series::group_of(size_t index, Levels& levels) {
    std::vector<uint32_t> values;
    size_t group = 0;
    for (size_t i = 0; i < balanced_.size(); ++i) {
        const uint32_t value = (*watches_[balanced_[i]].of_slot)[index];
        const uint64_t key = (static_cast<uint64_t>(group) << 32U) | value;
        group = levels[i].try_emplace(key, levels[i].size()).first->second;
        values.push_back(value);
    }
    if (group == groups_.size()) groups_.push_back({.values = std::move(values), .candidates = {}});
    return group;
}

/// How the group stands now; nothing when none of its nodes fits any more.
std::optional<Placement::Series::GroupRank> Placement::Series::rank(size_t number) {
    Group& group = groups_[number];
    while (!group.candidates.empty()) {
        const Candidate top = group.candidates.front();
        const bool still = fits(top.index);
        const Candidate now = still ? candidate(top.index) : top;
        if (still && (now == top || SMACK_BUG("placement_stale_rank"))) break;
        std::ranges::pop_heap(group.candidates, std::greater());
        group.candidates.pop_back();
        if (!still) continue;
        group.candidates.push_back(now);
        std::ranges::push_heap(group.candidates, std::greater());
    }
    if (group.candidates.empty()) return std::nullopt;
    GroupRank rank{.load = 0, .best = group.candidates.front(), .group = number};
    for (size_t i = 0; i < balanced_.size() && !SMACK_BUG("placement_unbalanced"); ++i)
        rank.load += count_of(watches_[balanced_[i]].staying, group.values[i]);
    return rank;
}

/// The slot that comes next.
std::optional<size_t> Placement::Series::best() {
    while (!ranks_.empty()) {
        const GroupRank top = ranks_.front();
        const auto now = rank(top.group);
        if (now && *now == top) return top.best.index;
        std::ranges::pop_heap(ranks_, std::greater());
        ranks_.pop_back();
        if (!now) continue;
        ranks_.push_back(*now);
        std::ranges::push_heap(ranks_, std::greater());
    }
    return std::nullopt;
}

std::optional<Place> Placement::Series::place(core::Random& random, core::NodeId only) {
    if (only.value == 0) {
        const auto index = best();
        return index ? std::optional(take(*index, random)) : std::nullopt;
    }
    const auto found = placement_.index_.find(only);
    if (found == placement_.index_.end() || !fits(found->second)) return std::nullopt;
    return take(found->second, random);
}

Place Placement::Series::take(size_t index, core::Random& random) {
    Place place = placement_.take(index, demand_, random);
    for (Watch& watch : watches_) watch.add(index);
    ++tasks_[index];
    constraints_.add(*place.node, true);
    return place;
}

}  // namespace smackd::apps
