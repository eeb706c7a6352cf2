// What the process that opens foreign archives may still do: make files below one folder, nothing else.
#pragma once

#include "core/result.h"
#include "services/images/file_descriptor.h"

namespace smackd::services::images {

struct UnpackConfinement {
    bool keep_layer_rights = true;  ///< CAP_SETFCAP and CAP_FSETID, for setuid bits and file capabilities
    uint64_t file_bytes_max = 0;
    uint64_t cpu_seconds_max = 0;
};

/// Makes `folder` the root of this process in namespaces of its own (mount, network, IPC, UTS), drops all
/// capabilities but those for owners and modes, sets limits and installs an allow list of system calls; any
/// other call ends the process. Returns the folder, opened anew. Needs root; kIo names the step that failed.
core::Result<FileDescriptor> confine_unpacker(FileDescriptor folder, const UnpackConfinement& rules);

/// Makes io_uring_setup answer ENOSYS from here on: a ring made earlier would pass by the filter of
/// confine_fetcher(). Before the first Loop.
core::Result<void> refuse_rings();

/// For a process with no files at all: an empty root, no capabilities, the same limits; system calls as the
/// unpacker's, and what sockets and threads take besides. `connect` and `socket` are not among them.
core::Result<void> confine_fetcher(uint64_t cpu_seconds_max);

}  // namespace smackd::services::images
