// The part of the log that is kept in memory: what followers may still need and what is not applied yet.
//
// It mirrors libraft's own record of indexes and terms ("trail"), and adds payloads and, for every entry, a
// serial number that tells an entry from an equal one that was truncated and written again.
#pragma once

#include <cstdint>
#include <deque>

#include "core/assert.h"
#include "storage/log/record.h"

namespace smackd::storage {

class MemoryLog {
 public:
    /// Empty, standing behind the entry `index` of `term` (0, 0 at the beginning of time).
    void restore(core::Index index, core::Term term) {
        entries_.clear();
        bytes_ = 0;
        offset_ = index.value;
        offset_term_ = term;
    }

    core::Index first() const { return core::Index{offset_ + 1}; }
    core::Index last() const { return core::Index{offset_ + entries_.size()}; }
    uint64_t bytes() const { return bytes_; }
    bool contains(core::Index index) const { return index.value > offset_ && index <= last(); }

    /// Term of an entry, or of the one just before the first; 0 when unknown.
    core::Term term_of(core::Index index) const {
        if (index.value == offset_) return offset_term_;
        return contains(index) ? at(index).term : core::Term{};
    }
    const LogEntry& get(core::Index index) const { return at(index); }
    uint64_t serial_of(core::Index index) const { return contains(index) ? serial(index) : 0; }

    /// Appends the entry after dropping what stood at its index and above. Returns its serial number.
    uint64_t append(LogEntry entry) {
        SMACK_ASSERT(entry.index.value > offset_ && entry.index <= last().next());
        while (last() >= entry.index) {
            bytes_ -= record_bytes(entries_.back().entry);
            entries_.pop_back();
        }
        bytes_ += record_bytes(entry);
        entries_.push_back(Slot{.entry = std::move(entry), .serial = ++last_serial_});
        return last_serial_;
    }

    /// Forgets the entries up to and including `index`.
    void cut_prefix(core::Index index) {
        while (!entries_.empty() && offset_ < index.value) {
            bytes_ -= record_bytes(entries_.front().entry);
            offset_term_ = entries_.front().entry.term;
            entries_.pop_front();
            ++offset_;
        }
    }

 private:
    struct Slot {
        LogEntry entry;
        uint64_t serial = 0;
    };
    const LogEntry& at(core::Index index) const { return entries_[index.value - offset_ - 1].entry; }
    uint64_t serial(core::Index index) const { return entries_[index.value - offset_ - 1].serial; }

    std::deque<Slot> entries_;
    uint64_t offset_ = 0;
    core::Term offset_term_;
    uint64_t bytes_ = 0;
    uint64_t last_serial_ = 0;
};

}  // namespace smackd::storage
