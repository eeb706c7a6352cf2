// Log lines to systemd's journal with their fields, where the service manager has connected standard error to
// it.
//
// systemd.io/JOURNAL_NATIVE_PROTOCOL: one datagram an entry. MESSAGE is the line as people read it; PRIORITY
// and SMACKD_COMPONENT say what the text form has in front of it; each key=value of the line is a field of
// its own, SMACKD_KEY. Under any other supervisor, in a terminal and when the journal does not take an entry,
// lines are text on standard error.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "cmd/smackd/log_sink.h"
#include "core/logger.h"

namespace smackd::cmd {

inline constexpr std::string_view kJournalSocket = "/run/systemd/journal/socket";
inline constexpr size_t kJournalFieldsMax = 32;  ///< of one line

/// The sink for standard error: the journal when $JOURNAL_STREAM names what standard error is
/// ("DEVICE:INODE", systemd.exec(5)), else text.
std::unique_ptr<core::LogSink> standard_log(core::LogLevel least);

/// Pure: the datagram of an entry; `line` as format_log_line made it.
std::string journal_entry(core::LogLevel level, std::string_view component, std::string_view line);
/// Pure: does `stream` name this file?
bool is_journal_stream(std::string_view stream, uint64_t device, uint64_t inode);

}  // namespace smackd::cmd
