#include "services/agent/task_directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <format>
#include <memory>

#include "core/wire/serialize.h"
#include "services/agent/small_file.h"

namespace smackd::agent {
namespace {

using core::Errc;
using core::fail;
using core::fail_errno;
using core::Result;

constexpr size_t kTaskIdBytesMax = 200;
constexpr std::string_view kEventPrefix = "event.";

Result<void> sync_names(int directory) {
    const Descriptor real(::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!real || ::fsync(real.get()) != 0) return fail_errno(errno, "the task's directory");
    return {};
}

Result<void> write_whole(int directory, const std::string& name, std::string_view bytes, bool durable) {
    const std::string temporary = name + ".new";
    const Descriptor file(
        ::openat(directory, temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file) return fail_errno(errno, name);
    if (::write(file.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
        return fail_errno(errno == 0 ? ENOSPC : errno, name);
    if (durable && ::fsync(file.get()) != 0) return fail_errno(errno, name);
    if (::renameat(directory, temporary.c_str(), directory, name.c_str()) != 0)
        return fail_errno(errno, name);
    return durable ? sync_names(directory) : Result<void>();
}

std::string event_file(uint64_t sequence) {
    return std::format("{}{}", kEventPrefix, sequence);
}

uint64_t sequence_of(std::string_view name) {
    if (!name.starts_with(kEventPrefix)) return 0;
    name.remove_prefix(kEventPrefix.size());
    uint64_t sequence = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), sequence);
    return error == std::errc() && end == name.data() + name.size() ? sequence : 0;
}

}  // namespace

bool is_task_id(std::string_view id) {
    if (id.empty() || id.size() > kTaskIdBytesMax) return false;
    const auto is_plain = [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    };
    return is_plain(id[0]) &&
           std::ranges::all_of(id, [&](char c) { return is_plain(c) || c == '.' || c == '_' || c == '-'; });
}

std::string tasks_directory(const std::string& agent) {
    return agent + "/tasks";
}
std::string task_directory(const std::string& agent, const std::string& task_id) {
    return agent + "/tasks/" + task_id;
}
std::string logs_directory(const std::string& agent) {
    return agent + "/logs";
}
std::string log_directory(const std::string& agent, const std::string& task_id) {
    return agent + "/logs/" + task_id;
}

Result<Descriptor> open_task_directory(const std::string& agent, const std::string& task_id) {
    Descriptor opened(::open(task_directory(agent, task_id).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!opened) return fail_errno(errno, "task " + task_id);
    return opened;
}

Result<NewTask> make_task_directory(const std::string& agent, const std::string& task_id) {
    const std::string path = task_directory(agent, task_id);
    const std::string logs = log_directory(agent, task_id);
    // A task that runs again goes on with its logs.
    if (::mkdir(logs.c_str(), 0700) != 0 && errno != EEXIST) return fail_errno(errno, logs);
    if (::mkdir(path.c_str(), 0700) != 0) {
        if (errno == EEXIST)
            return fail(Errc::kConflict, "task_id: '{}' was used before on this node", task_id);
        return fail_errno(errno, path);
    }
    NewTask made;
    TRY_ASSIGN(made.directory, open_task_directory(agent, task_id));
    made.lock = Descriptor(
        ::openat(made.directory.get(), kLockFile, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!made.lock || ::flock(made.lock.get(), LOCK_EX | LOCK_NB) != 0)
        return fail_errno(errno, path + "/lock");
    return made;
}

bool is_locked(int directory) {
    const Descriptor lock(::openat(directory, kLockFile, O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    // Shared, so that two who look do not take each other for a shim.
    return lock && ::flock(lock.get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

Result<void> write_plan(const NewTask& task, const wire::ShimPlan& plan) {
    const std::string bytes = wire::serialize(plan);
    const int directory = task.directory.get();
    // It appears whole, or not at all: under its own name only when it is written.
    if (::write(task.lock.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
        return fail_errno(errno == 0 ? ENOSPC : errno, kPlanFile);
    if (::linkat(directory, kLockFile, directory, kPlanFile, 0) != 0) return fail_errno(errno, kPlanFile);
    return {};
}

Result<wire::ShimPlan> read_plan(int directory) {
    const auto bytes = read_small_file(directory, kPlanFile);
    wire::ShimPlan plan;
    if (!bytes) return fail_errno(errno, kPlanFile);
    if (!plan.ParseFromString(*bytes) || !is_task_id(plan.spec().task_id()))
        return fail(Errc::kCorrupt, "the task's plan cannot be read");
    return plan;
}

Result<void> write_event(int directory, const wire::TaskEvent& event, bool durable) {
    return write_whole(directory, event_file(event.sequence()), wire::serialize(event), durable);
}

Result<void> sync_event(int directory, uint64_t sequence) {
    const std::string name = event_file(sequence);
    const Descriptor file(::openat(directory, name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!file && errno == ENOENT) return {};  // acknowledged meanwhile
    if (!file || ::fsync(file.get()) != 0) return fail_errno(errno, name);
    return sync_names(directory);
}

std::vector<wire::TaskEvent> read_events(int directory) {
    std::vector<wire::TaskEvent> events;
    for (const std::string& name : names_in(directory, ".")) {
        if (sequence_of(name) == 0) continue;
        const auto bytes = read_small_file(directory, name);
        wire::TaskEvent event;
        if (bytes && event.ParseFromString(*bytes) && event.sequence() == sequence_of(name))
            events.push_back(std::move(event));
    }
    std::ranges::sort(events, {}, &wire::TaskEvent::sequence);
    return events;
}

void remove_events(int directory, uint64_t up_to) {
    for (const std::string& name : names_in(directory, ".")) {
        const uint64_t sequence = sequence_of(name);
        if (sequence != 0 && sequence <= up_to) ::unlinkat(directory, name.c_str(), 0);
    }
}

bool is_last_event(const wire::TaskEvent& event) {
    return event.what_case() == wire::TaskEvent::kExited || event.what_case() == wire::TaskEvent::kFailed;
}

std::vector<std::string> names_in(int at, const std::string& name) {
    std::vector<std::string> names;
    const int opened = ::openat(at, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (opened < 0) return names;
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(::fdopendir(opened), ::closedir);
    if (!directory) return names;
    while (const dirent* entry =
               ::readdir(directory.get())) {  // NOLINT(concurrency-mt-unsafe): one stream, one thread
        const std::string_view found = entry->d_name;
        if (found != "." && found != "..") names.emplace_back(found);
    }
    return names;
}

namespace {

// Empties the directory `below` of `top`; directories in it become directories of `top`.
void flatten(int top, const std::string& below, uint64_t& made_up) {
    const Descriptor directory(::openat(top, below.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!directory) return;
    for (const std::string& name : names_in(directory.get(), ".")) {
        if (::unlinkat(directory.get(), name.c_str(), 0) == 0) continue;
        if (::unlinkat(directory.get(), name.c_str(), AT_REMOVEDIR) == 0) continue;
        ::renameat(directory.get(), name.c_str(), top, std::format(".removed.{}", made_up++).c_str());
    }
}

}  // namespace

bool remove_tree(int at, const std::string& name) {
    if (::unlinkat(at, name.c_str(), 0) == 0 || errno == ENOENT) return true;
    if (errno != EISDIR && errno != EPERM) return false;
    const Descriptor top(::openat(at, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!top) return false;
    // A task may nest directories as deep as it likes: instead of going down, what is below is moved up.
    uint64_t made_up = 0;
    for (bool progress = true; progress;) {
        progress = false;
        for (const std::string& below : names_in(top.get(), ".")) {
            if (::unlinkat(top.get(), below.c_str(), 0) != 0) {
                flatten(top.get(), below, made_up);
                if (::unlinkat(top.get(), below.c_str(), AT_REMOVEDIR) != 0) continue;
            }
            progress = true;
        }
    }
    return ::unlinkat(at, name.c_str(), AT_REMOVEDIR) == 0;
}

}  // namespace smackd::agent
