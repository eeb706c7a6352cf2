#include "services/backup/backup_schedule.h"

#include <algorithm>
#include <charconv>
#include <format>

#include "core/json.h"

namespace smackd::services {
namespace {

constexpr std::string_view kPrefix = "smackd-";
constexpr std::string_view kSuffix = ".backup";
constexpr std::string_view kUnfinishedSuffix = ".backup.new";
constexpr std::string_view kForm = "smackd-00000000T000000Z.backup";

using Milliseconds = std::chrono::sys_time<core::milliseconds>;

int digits(std::string_view text) {
    int value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

bool has_form(std::string_view name) {
    return std::ranges::equal(
        name, kForm, [](char c, char form) { return form == '0' ? c >= '0' && c <= '9' : c == form; });
}

}  // namespace

std::string BackupRecord::to_text() const {
    core::Json json;
    json.set("time_ms", made.unix_ms).set("revision", revision).set("server", server).set("file", file);
    json.set("bytes", bytes).set("failed_ms", failed.unix_ms).set("failure", failure);
    return json.dump();
}

core::Result<BackupRecord> BackupRecord::parse(std::string_view text) {
    auto json = core::Json::parse(text);
    if (!json || !json->is_object())
        return core::fail(core::Errc::kCorrupt, "setting {}: is no record of a backup", kBackupSetting);
    BackupRecord record;
    record.made = {(*json)["time_ms"].as_integer()};
    record.revision = (*json)["revision"].as_string();
    record.server = (*json)["server"].as_string();
    record.file = (*json)["file"].as_string();
    record.bytes = static_cast<uint64_t>((*json)["bytes"].as_integer());
    record.failed = {(*json)["failed_ms"].as_integer()};
    record.failure = (*json)["failure"].as_string();
    return record;
}

core::Duration until_next_backup(const BackupPlan& plan, const BackupRecord& last, core::WallTime now,
                                 core::Duration earliest) {
    const auto after = [&](core::WallTime time, core::Duration delay) {
        return core::Duration(core::milliseconds(time.unix_ms - now.unix_ms)) + delay;
    };
    core::Duration due = earliest;
    if (last.made.unix_ms != 0) due = after(last.made, plan.every);
    if (last.failed.unix_ms != 0) due = after(last.failed, std::min(kBackupRetryDelay, plan.every));
    // A clock that was set back must not put the next one off for ever.
    return std::clamp(due, std::min(earliest, plan.every), plan.every);
}

std::string backup_name(core::WallTime time) {
    const Milliseconds at{core::milliseconds(time.unix_ms)};
    const auto day = std::chrono::floor<std::chrono::days>(at);
    const std::chrono::year_month_day date{day};
    const std::chrono::hh_mm_ss clock{std::chrono::floor<core::seconds>(at - day)};
    return std::format("{}{:04}{:02}{:02}T{:02}{:02}{:02}Z{}", kPrefix, static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                       clock.hours().count(), clock.minutes().count(), clock.seconds().count(), kSuffix);
}

std::optional<core::WallTime> time_of_backup(std::string_view name) {
    if (!has_form(name)) return std::nullopt;
    const std::string_view text = name.substr(kPrefix.size());
    const std::chrono::year_month_day date{
        std::chrono::year(digits(text.substr(0, 4))),
        std::chrono::month(static_cast<unsigned>(digits(text.substr(4, 2)))),
        std::chrono::day(static_cast<unsigned>(digits(text.substr(6, 2))))};
    if (!date.ok()) return std::nullopt;
    const core::milliseconds clock = std::chrono::hours(digits(text.substr(9, 2))) +
                                     std::chrono::minutes(digits(text.substr(11, 2))) +
                                     core::seconds(digits(text.substr(13, 2)));
    return core::WallTime{(std::chrono::sys_days(date).time_since_epoch() + clock).count()};
}

std::vector<std::string> outdated_backups(std::vector<std::string> names, uint32_t keep) {
    std::vector<std::string> outdated;
    std::erase_if(names, [&](const std::string& name) {
        const bool unfinished = name.starts_with(kPrefix) && name.ends_with(kUnfinishedSuffix);
        if (unfinished) outdated.push_back(name);
        return !time_of_backup(name);
    });
    std::ranges::sort(names);  // by time: the form is of fixed width
    const size_t kept = std::min<size_t>(keep, names.size());
    outdated.insert(outdated.end(), names.begin(), names.end() - static_cast<std::ptrdiff_t>(kept));
    return outdated;
}

}  // namespace smackd::services
