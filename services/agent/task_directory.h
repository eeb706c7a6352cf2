// What is on disk of a task: DIRECTORY/tasks/ID (plan, lock, socket, events, writable root) and
// DIRECTORY/logs/ID.
//
// The lock is held by the shim as long as it lives: a directory whose lock is free and that has no last event
// belongs to a task that was lost. Events are files, one each, and are removed when they were acknowledged.
#pragma once

#include <string>
#include <vector>

#include "core/result.h"
#include "core/wire/task.pb.h"
#include "services/agent/descriptor.h"

namespace smackd::agent {

inline constexpr const char* kPlanFile = "plan";
inline constexpr const char* kLockFile = "lock";
inline constexpr const char* kSocketFile = "socket";

/// A task id is also a file name, a group's name and a label: [A-Za-z0-9._-], 1-200 bytes, beginning with a
/// letter or digit.
bool is_task_id(std::string_view id);

std::string tasks_directory(const std::string& agent);
std::string task_directory(const std::string& agent, const std::string& task_id);
std::string logs_directory(const std::string& agent);
std::string log_directory(const std::string& agent, const std::string& task_id);

/// O_PATH; kNotFound.
core::Result<Descriptor> open_task_directory(const std::string& agent, const std::string& task_id);
/// Makes the directory (kConflict when it was there) and takes its lock, which lives as long as the
/// descriptor and its copies.
struct NewTask {
    Descriptor directory{};
    Descriptor lock{};
};
core::Result<NewTask> make_task_directory(const std::string& agent, const std::string& task_id);
/// True while a shim holds the lock.
bool is_locked(int directory);

/// In the file of the lock, which gets a second name: one inode less for each task.
core::Result<void> write_plan(const NewTask& task, const wire::ShimPlan& plan);
core::Result<wire::ShimPlan> read_plan(int directory);

/// Appears whole or not at all; `durable` waits for the disk.
core::Result<void> write_event(int directory, const wire::TaskEvent& event, bool durable);
/// Waits until the disk has one that was written without.
core::Result<void> sync_event(int directory, uint64_t sequence);
/// Those not yet acknowledged, in order. Files that are no events are left out.
std::vector<wire::TaskEvent> read_events(int directory);
void remove_events(int directory, uint64_t up_to);
bool is_last_event(const wire::TaskEvent& event);

/// Removes a directory and all in it, on its own file system, following nothing. Best effort; false when
/// something is left.
bool remove_tree(int at, const std::string& name);
/// Names in a directory, without "." and "..".
std::vector<std::string> names_in(int at, const std::string& name);

}  // namespace smackd::agent
