#include "cmd/smackd/journal_sink.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <format>

namespace smackd::cmd {
namespace {

// syslog(3).
int priority_of(core::LogLevel level) {
    using enum core::LogLevel;
    if (level == kError) return 3;
    if (level == kWarning) return 4;
    return level == kInfo ? 6 : 7;
}

/// A value with a line feed has its length in front (little endian), else it ends with one.
void add_field(std::string& out, std::string_view name, std::string_view value) {
    out += name;
    if (!value.contains('\n')) {
        out += std::format("={}\n", value);
        return;
    }
    out += '\n';
    for (int byte = 0; byte < 8; ++byte)
        out += static_cast<char>(uint64_t{value.size()} >> (8 * byte) & 0xffU);
    out += value;
    out += '\n';
}

bool is_key(std::string_view text) {
    return !text.empty() && text.size() <= 40 && std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    });
}

/// Takes a value off the front, its quotes and escapes undone.
std::string take_value(std::string_view& rest) {
    std::string value;
    if (!rest.starts_with('"')) {
        value = rest.substr(0, rest.find(' '));
        rest.remove_prefix(value.size());
        return value;
    }
    size_t at = 1;
    for (; at < rest.size() && rest[at] != '"'; ++at) {
        if (rest[at] == '\\' && at + 1 < rest.size() && rest[at + 1] != 'x') ++at;
        value += rest[at];
    }
    rest.remove_prefix(std::min(at + 1, rest.size()));
    return value;
}

void add_keys(std::string& out, std::string_view line) {
    size_t fields = 0;
    while (!line.empty() && fields < kJournalFieldsMax) {
        const std::string_view word = line.substr(0, line.find(' '));
        const size_t equals = word.find('=');
        if (equals == std::string_view::npos || !is_key(word.substr(0, equals))) {
            line.remove_prefix(std::min(word.size() + 1, line.size()));
            continue;
        }
        std::string name("SMACKD_");
        for (const char c : word.substr(0, equals))
            name += c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
        line.remove_prefix(equals + 1);
        add_field(out, name, take_value(line));
        line.remove_prefix(std::min<size_t>(1, line.size()));
        ++fields;
    }
}

class JournalSink final : public core::LogSink {
 public:
    JournalSink(int socket, core::LogLevel least)
        : socket_(socket), least_(least), text_(STDERR_FILENO, least) {}
    JournalSink(const JournalSink&) = delete;
    JournalSink& operator=(const JournalSink&) = delete;
    ~JournalSink() override { ::close(socket_); }

    void write(core::LogLevel level, std::string_view component, std::string_view line) override {
        if (level < least_) return;
        const std::string entry = journal_entry(level, component, line);
        // A journal that is being restarted, or a line longer than a datagram: the text form gets there.
        if (::send(socket_, entry.data(), entry.size(), MSG_NOSIGNAL) < 0)
            text_.write(level, component, line);
    }

 private:
    int socket_;
    core::LogLevel least_;
    DescriptorLogSink text_;
};

int connect_to_journal() {
    const int descriptor = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    kJournalSocket.copy(&to.sun_path[0], sizeof to.sun_path - 1);
    if (descriptor < 0 || ::connect(descriptor, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0)
        return descriptor;
    ::close(descriptor);
    return -1;
}

}  // namespace

std::unique_ptr<core::LogSink> standard_log(core::LogLevel least) {
    const char* stream = std::getenv("JOURNAL_STREAM");
    struct stat info{};
    if (stream != nullptr && ::fstat(STDERR_FILENO, &info) == 0 &&
        is_journal_stream(stream, info.st_dev, info.st_ino)) {
        if (const int descriptor = connect_to_journal(); descriptor >= 0)
            return std::make_unique<JournalSink>(descriptor, least);
    }
    return std::make_unique<DescriptorLogSink>(STDERR_FILENO, least);
}

std::string journal_entry(core::LogLevel level, std::string_view component, std::string_view line) {
    std::string out;
    add_field(out, "MESSAGE", std::format("{}: {}", component, line));
    add_field(out, "PRIORITY", std::to_string(priority_of(level)));
    add_field(out, "SYSLOG_IDENTIFIER", "smackd");
    add_field(out, "SMACKD_COMPONENT", component);
    add_keys(out, line);
    return out;
}

bool is_journal_stream(std::string_view stream, uint64_t device, uint64_t inode) {
    return stream == std::format("{}:{}", device, inode);
}

}  // namespace smackd::cmd
