// The configuration, and the files that it names.
#pragma once

#include "cmd/smackd/command.h"
#include "cmd/smackd/config.h"
#include "cmd/smackd/data_directory.h"
#include "cmd/smackd/doctor/finding.h"

namespace smackd::cmd {

Finding wrong_settings(const core::Error& error, const Arguments& arguments);
/// `node`: who the node is; nullptr: none is here.
Finding judge_settings(const Config& config, const NodeIdentity* node);
/// Certificates of the ingress, the folders of backups and of the log.
Findings examine_files(const Config& config);

}  // namespace smackd::cmd
