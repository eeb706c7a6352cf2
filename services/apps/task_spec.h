// From an app's definition and one of its tasks to what the node runs. Pure.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "core/images/image_config.h"
#include "core/wire/app.pb.h"
#include "core/wire/task.pb.h"

namespace smackd::services {

/// Where Mesos' tasks find their sandbox, and so do ours.
inline constexpr std::string_view kSandboxPath = "/mnt/mesos/sandbox";
inline constexpr std::string_view kDefaultPath =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
inline constexpr size_t kLabelInEnvironmentBytesMax =
    512;  ///< longer keys and values stay out, as with Marathon

/// Of an app: "none" when its tasks are to have no token and no socket.
inline constexpr std::string_view kIdentityLabel = "SMACKD_IDENTITY";
/// Where tasks find their token and socket; the second where a volume of the app lies in the way of the
/// first.
inline constexpr std::array<std::string_view, 2> kIdentityPaths = {"/run/smackd", "/mnt/smackd"};

/// Where the app's tasks see their identity; empty: nowhere, by the label or because volumes are in the way.
std::string_view identity_path_of(const wire::AppDefinition& app);

/// What the node adds.
struct SpecFacts {
    std::string sandbox;                               ///< absolute directory on the node
    std::vector<std::string> layers;                   ///< of the image; empty: none
    const core::images::ImageConfig* image = nullptr;  ///< of the image; nullptr: none
    std::string image_id;                              ///< digest, comes back in LocalTask; empty: none
    std::string agent_id;                              ///< MESOS_AGENT_ID
    std::string identity{};                            ///< directory of token and socket; empty: none
};

/// kInvalid says what this node cannot do for the task.
core::Result<wire::TaskSpec> spec_of(const wire::Task& task, const wire::AppDefinition& app,
                                     const SpecFacts& facts);

/// The task's environment: Marathon's context, its ports, then the image's and the app's own (the last one
/// counts).
std::vector<std::pair<std::string, std::string>> environment_of(const wire::Task& task,
                                                                const wire::AppDefinition& app,
                                                                const SpecFacts& facts);

/// How a status reads when the task has ended this way.
wire::TaskStatus status_of_exit(const wire::TaskExited& exited);

}  // namespace smackd::services
