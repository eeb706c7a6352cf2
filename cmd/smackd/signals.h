// SIGTERM and SIGINT as something to wait for, and nothing else that interrupts.
#pragma once

#include "core/units.h"

namespace smackd::cmd {

/// Blocks SIGTERM, SIGINT and SIGHUP in this thread and those it starts. First thing of a daemon's life.
void block_stop_signals();

/// Waits for one of them; returns its number.
int wait_for_stop_signal();

/// Sends this process one of them.
void send_stop_signal();

/// True when one of them has come already; it is still there for wait_for_stop_signal().
bool stop_signal_pending();

}  // namespace smackd::cmd
