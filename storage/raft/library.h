// libraft (cowsql/raft 0.22.1, C): the Raft algorithm as a pure step function.
//
// Only raft_step() and the getters are used: events go in, an update (entries to persist, messages to send, a
// new commit index) comes out. Its v0 layer (struct raft_io, raft_apply) is not: see storage/README.md for
// the reason.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

extern "C" {
#include <raft.h>
}
