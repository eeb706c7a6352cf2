// The system-call filter of tasks: what a container's default profile allows, compiled once and kept as a
// file.
//
// Compiling takes 15-30 ms, which no start of a task can afford; installing takes 0.1 ms. Calls the profile
// refuses answer EPERM; clone3 and calls newer than this build answer ENOSYS, because C libraries then fall
// back to older ones.
#pragma once

#include <string>

#include "core/bytes.h"
#include "core/result.h"

namespace smackd::agent {

/// Compiled classic BPF (struct sock_filter[]) for this architecture.
core::Result<core::Bytes> compile_seccomp_profile();

/// The compiled profile from `directory` (of root alone, 0700), compiled and written there when it is not
/// there yet. The file's name carries the build's profile, so that a newer build makes its own.
core::Result<core::Bytes> cached_seccomp_profile(const std::string& directory);

/// Puts the calling thread under the filter; no_new_privs is set by now. errno on failure.
int install_seccomp(const core::Bytes& program);

}  // namespace smackd::agent
