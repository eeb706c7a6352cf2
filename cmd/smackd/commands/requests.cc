#include "cmd/smackd/commands/requests.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <format>

#include "auth/sealing.h"
#include "cmd/smackd/data_directory.h"
#include "net/crypto/certificate.h"
#include "net/http/message.h"

namespace smackd::cmd {
namespace {

inline constexpr size_t kPasswordLineBytesMax = 1024;

// Byte by byte: what follows the line belongs to whoever reads standard input next.
core::Result<std::string> read_line(int descriptor, std::string_view what) {
    std::string line;
    char c = 0;
    for (;;) {
        ssize_t got = ::read(descriptor, &c, 1);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return core::fail_errno(errno, std::format("reading the {}", what));
        if (got == 0 || c == '\n') break;
        line += c;
        if (line.size() > kPasswordLineBytesMax) {
            return core::fail(core::Errc::kInvalid, "the {} is longer than {} bytes", what,
                              kPasswordLineBytesMax);
        }
    }
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty()) return core::fail(core::Errc::kInvalid, "the {} is empty", what);
    return line;
}

core::Result<std::string> ask(int terminal, const std::string& prompt, std::string_view what) {
    termios before{};
    if (::tcgetattr(terminal, &before) != 0)
        return core::fail_errno(errno, "switching the terminal's echo off");
    termios quiet = before;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    ::tcsetattr(terminal, TCSAFLUSH, &quiet);
    [[maybe_unused]] ssize_t wrote = ::write(terminal, prompt.data(), prompt.size());
    auto line = read_line(terminal, what);
    ::tcsetattr(terminal, TCSAFLUSH, &before);
    wrote = ::write(terminal, "\n", 1);
    return line;
}

}  // namespace

std::string resource(std::string_view collection, std::string_view name) {
    return std::format("/smack/v1/{}/{}", collection, net::http::percent_encode(name));
}

core::Json list_of(const std::vector<std::string>& values) {
    core::Json list = core::Json::array();
    for (const std::string& value : values) {
        for (size_t at = 0; at <= value.size();) {
            size_t comma = std::min(value.find(',', at), value.size());
            if (comma > at) list.push(value.substr(at, comma - at));
            at = comma + 1;
        }
    }
    return list;
}

core::Result<std::string> read_password(Context& context, std::string_view prompt, bool confirm) {
    if (context.arguments.has("--password-stdin")) return read_line(STDIN_FILENO, "password");
    int terminal = ::open("/dev/tty", O_RDWR | O_CLOEXEC);
    if (terminal < 0) {
        return context.usage("there is no terminal to ask for the password on; use --password-stdin");
    }
    auto first = ask(terminal, std::format("{}: ", prompt), "password");
    if (first && confirm) {
        auto second = ask(terminal, "Again: ", "password");
        if (second && *second != *first)
            second = core::fail(core::Errc::kInvalid, "the two passwords differ");
        if (second) auth::wipe(*second);
        if (!second) first = std::move(second);
    }
    ::close(terminal);
    return first;
}

const Option kRecoveryKeyFile{"--recovery-key-file", "FILE",
                              "the recovery key is the first line of FILE (- is standard input)"};

bool has_terminal() {
    const int terminal = ::open("/dev/tty", O_RDWR | O_CLOEXEC);
    if (terminal >= 0) ::close(terminal);
    return terminal >= 0;
}

core::Result<auth::RecoveryKey> read_recovery_key(Context& context) {
    constexpr std::string_view kWhat = "recovery key";
    const std::string path = context.arguments.value(kRecoveryKeyFile.name);
    const bool from_stdin = path == "-";
    if (path.empty() && !has_terminal())
        return context.usage(
            "there is no terminal to ask for the recovery key on; use --recovery-key-file FILE");
    const int descriptor = from_stdin ? ::dup(STDIN_FILENO)
                                      : ::open(path.empty() ? "/dev/tty" : path.c_str(),
                                               (path.empty() ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    if (descriptor < 0) return core::fail_errno(errno, std::format("opening {}", path));
    auto line = path.empty() ? ask(descriptor, "Recovery key: ", kWhat) : read_line(descriptor, kWhat);
    ::close(descriptor);
    if (!line) return core::pass(std::move(line), path);
    auto key = auth::RecoveryKey::from_text(*line);
    auth::wipe(*line);
    return key;
}

core::Result<std::string> read_ca_file(const std::string& path) {
    TRY_ASSIGN(std::string pem, read_small_file(path));
    auto certificate = net::crypto::parse_certificate(pem);
    if (!certificate) return core::pass(std::move(certificate), path);
    return pem;
}

core::Result<void> write_secret(const std::string& path, std::string_view bytes) {
    if (path == "-") {
        print(bytes);
        return {};
    }
    int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (descriptor < 0 && errno == EEXIST) {
        return core::fail(core::Errc::kConflict, "{} exists; remove it or write elsewhere", path);
    }
    if (descriptor < 0) return core::fail_errno(errno, std::format("making {}", path));
    bool wrote = ::write(descriptor, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size());
    int failed = errno;
    ::close(descriptor);
    if (!wrote) return core::fail_errno(failed, std::format("writing {}", path));
    return {};
}

core::Result<void> write_keytab(Context& context, const std::string& path, std::string_view bytes) {
    TRY(write_secret(path, bytes));
    if (path == "-") return {};
    context.output.say(std::format("Wrote {} (mode 0600). Whoever has this file is that principal.", path));
    context.output.document(core::Json::object().set("keytab", path));
    return {};
}

}  // namespace smackd::cmd
