// Domain names (RFC 1035 section 3.1) and how Mesos-DNS makes them out of task names.
#pragma once

#include <string>
#include <string_view>

#include "core/bytes.h"
#include "core/result.h"

namespace smackd::core::dns {

inline constexpr size_t kNameBytesMax = 255;  ///< on the wire, with lengths and the root
inline constexpr size_t kLabelBytesMax = 63;

/// "Web.marathon.mesos" as lengths and labels, in lower case; a final dot may stand there. kInvalid names the
/// rule.
Result<Bytes> name_to_wire(std::string_view text);
/// For people: dots between labels, no final one; "." is the root. What is not printable is written \DDD.
std::string name_to_text(BytesView wire);

/// One label as RFC 1123 wants it: lower case, '.' and '_' become '-', other characters are dropped, no '-'
/// at the ends, at most 63 bytes. May be empty.
std::string mangle_label(std::string_view text);
/// The same for each part between dots; empty parts are dropped.
std::string mangle_labels(std::string_view text);

/// The first five characters of the z-base-32 form of the id's SHA-1: tells tasks of one name apart.
std::string task_hash(std::string_view task_id);
/// What follows the last '-' of an agent id, in lower case ("...-S1" is "s1").
std::string agent_suffix(std::string_view agent_id);

}  // namespace smackd::core::dns
