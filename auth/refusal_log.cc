#include "auth/refusal_log.h"

#include <algorithm>
#include <charconv>
#include <format>
#include <optional>
#include <vector>

#include "core/json.h"
#include "net/crypto/hash.h"

namespace smackd::auth {
namespace {

using core::Bytes;
using core::BytesView;
using core::Json;
using core::Result;
using core::WallTime;

constexpr std::string_view kPrefix = "refusals.";
constexpr std::string_view kSuffix = ".log";
constexpr size_t kHashLength = 64;
constexpr int64_t kMinuteMs = 60'000;
constexpr uint64_t kFileBytesReadMax = 64 * 1024 * 1024;

// A line is HASH SPACE JSON NEWLINE, HASH = hex SHA-256(hash of the line before, space, JSON).
std::string line_hash(std::string_view before, std::string_view json) {
    return core::to_hex(net::crypto::sha256(std::string(before) + " " + std::string(json)));
}

std::string genesis() {
    return std::string(kHashLength, '0');
}

std::string path_of(const std::string& directory, uint64_t number) {
    return std::format("{}/{}{:08}{}", directory, kPrefix, number, kSuffix);
}

std::optional<uint64_t> number_of(std::string_view name) {
    if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix) ||
        name.size() <= kPrefix.size() + kSuffix.size()) {
        return std::nullopt;
    }
    const std::string_view digits =
        name.substr(kPrefix.size(), name.size() - kPrefix.size() - kSuffix.size());
    uint64_t number = 0;
    const auto [end, error] = std::from_chars(digits.begin(), digits.end(), number);
    if (error != std::errc() || end != digits.end()) return std::nullopt;
    return number;
}

Result<std::vector<uint64_t>> list_numbers(core::Disk& disk, const std::string& directory) {
    TRY_ASSIGN(const std::vector<std::string> names, disk.list(directory));
    std::vector<uint64_t> numbers;
    for (const std::string& name : names) {
        if (const auto number = number_of(name)) numbers.push_back(*number);
    }
    std::ranges::sort(numbers);
    return numbers;
}

// What a refused client sends need not be UTF-8, as JSON must be, nor short.
std::string printable(std::string_view text, size_t limit) {
    std::string out(text.substr(0, limit));
    for (char& c : out) {
        if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f) c = '?';
    }
    if (text.size() > limit) out += "...";
    return out;
}

// One file of the log, checked line by line from the hash it must follow (nothing: whatever it says).
struct Walk {
    std::optional<std::string> head;  ///< of the line before; none before the oldest file kept
    uint64_t lines = 0;
    size_t intact_bytes = 0;
    std::string problem;

    void file(BytesView bytes) {
        intact_bytes = 0;
        while (intact_bytes < bytes.size()) {
            const size_t end = bytes.find('\n', intact_bytes);
            if (end == BytesView::npos) {
                problem = std::format("line {}: cut off", lines + 1);
                return;
            }
            if (!line(bytes.substr(intact_bytes, end - intact_bytes))) return;
            intact_bytes = end + 1;
        }
    }
    bool line(std::string_view text) {
        if (text.size() < kHashLength + 2 || text[kHashLength] != ' ') {
            problem = std::format("line {}: malformed", lines + 1);
            return false;
        }
        const std::string_view hash = text.substr(0, kHashLength);
        const std::string_view json = text.substr(kHashLength + 1);
        auto parsed = Json::parse(json);
        if (!parsed || !parsed->is_object()) {
            problem = std::format("line {}: malformed", lines + 1);
            return false;
        }
        // The first line of each file repeats the hash it follows, so that a file can be read when older ones
        // are gone.
        const Json* follows = parsed->find("follows");
        if (!head && follows != nullptr) head = follows->as_string();
        if (!head || (follows != nullptr && follows->as_string() != *head) ||
            line_hash(*head, json) != hash) {
            problem = std::format("line {}: changed, or a line before it is missing", lines + 1);
            return false;
        }
        head = hash;
        lines++;
        return true;
    }
};

}  // namespace

struct RefusalLog::State {
    core::Disk& disk;
    std::string directory;
    RefusalLogLimits limits;
    std::unique_ptr<core::File> file;
    uint64_t number = 0;
    uint64_t size = 0;
    std::string head = genesis();
    int64_t window_start_ms = 0;
    uint32_t in_window = 0;
    uint64_t suppressed = 0;            ///< since open
    uint64_t suppressed_unwritten = 0;  ///< goes into the next line

    State(core::Disk& the_disk, std::string the_directory, RefusalLogLimits the_limits)
        : disk(the_disk), directory(std::move(the_directory)), limits(the_limits) {}

    Result<void> append(const Json& json) {
        const std::string text = json.dump();
        const std::string hash = line_hash(head, text);
        const std::string line = hash + " " + text + "\n";
        TRY(file->write_at(size, line));
        size += line.size();
        head = hash;
        return {};
    }

    Result<void> next_file(std::string_view why, WallTime now) {
        if (file) TRY(file->sync());
        TRY_ASSIGN(file, disk.open(path_of(directory, number + 1), core::OpenMode::kCreateNew));
        number++;
        size = 0;
        TRY(append(Json::object().set("time_ms", now.unix_ms).set("follows", head).set("opened", why)));
        TRY(disk.sync_directory(directory));
        return remove_old();
    }

    Result<void> remove_old() {
        TRY_ASSIGN(const std::vector<uint64_t> numbers, list_numbers(disk, directory));
        for (const uint64_t old : numbers) {
            if (old + limits.files <= number) TRY(disk.remove(path_of(directory, old)));
        }
        return {};
    }

    // False: over the limit of this minute; the refusal is counted only.
    bool admit(WallTime now) {
        if (now.unix_ms - window_start_ms >= kMinuteMs || now.unix_ms < window_start_ms) {
            window_start_ms = now.unix_ms;
            in_window = 0;
        }
        if (in_window < limits.per_minute) {
            in_window++;
            return true;
        }
        suppressed++;
        suppressed_unwritten++;
        return false;
    }
};

RefusalLog::RefusalLog(std::unique_ptr<State> state) : state_(std::move(state)) {}
RefusalLog::~RefusalLog() = default;

Result<std::unique_ptr<RefusalLog>> RefusalLog::open(core::Disk& disk, std::string directory,
                                                     RefusalLogLimits limits) {
    TRY(disk.make_directory(directory));
    auto state = std::make_unique<State>(disk, std::move(directory), limits);
    TRY_ASSIGN(const std::vector<uint64_t> numbers, list_numbers(disk, state->directory));
    if (!numbers.empty()) {
        state->number = numbers.back();
        TRY_ASSIGN(const Bytes bytes,
                   core::read_file(disk, path_of(state->directory, state->number), kFileBytesReadMax));
        Walk walk;
        walk.file(bytes);
        // A file that is not intact to its end is left as it is; a new one follows from the last good line.
        if (walk.head) state->head = *walk.head;
        if (walk.problem.empty() && !bytes.empty()) {
            TRY_ASSIGN(state->file,
                       disk.open(path_of(state->directory, state->number), core::OpenMode::kReadWrite));
            state->size = bytes.size();
        }
    }
    return std::unique_ptr<RefusalLog>(new RefusalLog(std::move(state)));
}

Result<void> RefusalLog::record(const Refusal& refusal, WallTime now) {
    State& state = *state_;
    if (!state.admit(now)) return {};
    if (!state.file) TRY(state.next_file(state.number == 0 ? "first" : "after damage", now));
    if (state.size >= state.limits.file_bytes) TRY(state.next_file("full", now));
    const auto field = [&](std::string_view text) { return printable(text, state.limits.field_bytes); };
    Json json = Json::object();
    json.set("time_ms", now.unix_ms)
        .set("reason", field(refusal.reason))
        .set("principal", field(refusal.principal))
        .set("source", field(refusal.source))
        .set("door", field(refusal.door))
        .set("request", field(refusal.request))
        .set("message", field(refusal.message));
    if (state.suppressed_unwritten > 0) json.set("suppressed_before", state.suppressed_unwritten);
    TRY(state.append(json));
    state.suppressed_unwritten = 0;
    return {};
}

Result<void> RefusalLog::sync() {
    if (!state_->file) return {};
    return state_->file->sync();
}

const std::string& RefusalLog::head() const {
    return state_->head;
}
uint64_t RefusalLog::suppressed() const {
    return state_->suppressed;
}

Result<RefusalLogReport> verify_refusal_log(core::Disk& disk, const std::string& directory) {
    TRY_ASSIGN(const std::vector<uint64_t> numbers, list_numbers(disk, directory));
    RefusalLogReport report;
    Walk walk;
    for (const uint64_t number : numbers) {
        const std::string path = path_of(directory, number);
        TRY_ASSIGN(const Bytes bytes, core::read_file(disk, path, kFileBytesReadMax));
        walk.lines = 0;
        walk.problem.clear();
        walk.file(bytes);
        report.files++;
        report.lines += walk.lines;
        // The first problem is the one to look at; what follows a crash goes on from the last good line.
        if (!walk.problem.empty() && report.problem.empty())
            report.problem = std::format("{}: {}", path, walk.problem);
    }
    report.head = walk.head.value_or("");
    return report;
}

}  // namespace smackd::auth
