// What the commands about rows (users, groups, machines, rules) have in common.
#pragma once

#include <string>
#include <string_view>

#include "auth/sealing.h"
#include "cmd/smackd/client/api_client.h"
#include "cmd/smackd/command.h"

namespace smackd::cmd {

/// "/smack/v1/users/alice", the name escaped.
std::string resource(std::string_view collection, std::string_view name);

/// Splits "a,b" and repeated values into one list.
core::Json list_of(const std::vector<std::string>& values);

/// A password: the first line of standard input with --password-stdin, else asked for on the terminal without
/// echo (twice when `confirm`). Never from an argument. The caller wipes it.
core::Result<std::string> read_password(Context& context, std::string_view prompt, bool confirm);

/// The recovery key: the first line of --recovery-key-file ("-" is standard input), else asked for on the
/// terminal without echo. Never from an argument. A usage error when there is neither.
core::Result<auth::RecoveryKey> read_recovery_key(Context& context);
/// Whether there is a terminal to ask on.
bool has_terminal();
extern const Option kRecoveryKeyFile;

/// A CA certificate in PEM, checked for its form.
core::Result<std::string> read_ca_file(const std::string& path);

/// Writes `bytes` to `path` (mode 0600, never over an existing file) or, for "-", to standard output.
core::Result<void> write_secret(const std::string& path, std::string_view bytes);

/// Writes a keytab to `path` (mode 0600, never over an existing file) or, for "-", to standard output.
core::Result<void> write_keytab(Context& context, const std::string& path, std::string_view bytes);

}  // namespace smackd::cmd
