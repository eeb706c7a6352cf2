// `smackd unpack`: the child that opens one archive. FileDescriptor 3 is the archive, 4 the folder it fills.
#pragma once

#include "core/json.h"

namespace smackd::services::images {

/// What stands on its standard input, as JSON:
///   kind       "layer", "tar" or "zip"
///   bytes_max  of all contents together
///   uid, gid   owner of everything; not for layers
///   parent     the process it dies with
/// and on its standard output: `diff_id` (of layers), `bytes`, `members`, `devices_skipped`, `opaque`, or an
/// error.
int unpack_main();

}  // namespace smackd::services::images
