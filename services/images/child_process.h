// Runs one of our own hidden entries (`smackd unpack`, `smackd fetch`) as a child and waits for its answer.
#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include "core/callback.h"
#include "core/json.h"
#include "core/result.h"
#include "core/units.h"
#include "services/images/file_descriptor.h"

namespace smackd::services::images {

inline constexpr size_t kChildAnswerBytesMax = 8 * core::kMiB;
/// The first descriptor the child is given by number; the second is the next one.
inline constexpr int kChildFirstDescriptor = 3;

struct ChildPlan {
    std::string program;             ///< path of this binary
    std::string entry;               ///< "unpack"
    core::Json input;                ///< on its standard input; at most 60 KiB of text
    std::vector<int> descriptors{};  ///< become 3, 4, ...; stay open here
    core::Duration limit = std::chrono::minutes(30);
    int requests = -1;  ///< watched: `on_request` is called when it can be read, until it says false or fails
    core::Callback<core::Result<bool>()> on_request{};
};

/// Blocks until the child has answered and ended. The answer is the JSON object on its standard output; one
/// with `error` (see child_error) becomes that error. kCancelled soon after `cancelled` is set, kTimeout
/// after the limit, kIo with what the child wrote to standard error when it died: it is killed in each case.
core::Result<core::Json> run_child(ChildPlan& plan, const std::atomic<bool>& cancelled);

/// How an error travels from the child.
core::Json child_error(const core::Error& error);
/// nullopt when `answer` is none.
std::optional<core::Error> error_of_child(const core::Json& answer);

}  // namespace smackd::services::images
