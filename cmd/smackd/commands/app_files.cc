#include "cmd/smackd/commands/app_files.h"

#include <unistd.h>

#include "cmd/smackd/data_directory.h"

namespace smackd::cmd {
namespace {

constexpr size_t kDefinitionBytesMax = 1024 * 1024;

core::Result<std::string> read_text(const std::string& file) {
    if (file != "-") return read_small_file(file);
    std::string text;
    char buffer[16384];
    while (true) {
        const ssize_t got = ::read(STDIN_FILENO, buffer, sizeof buffer);
        if (got < 0) return core::fail_errno(errno, "reading standard input");
        if (got == 0) return text;
        text.append(buffer, static_cast<size_t>(got));
        if (text.size() > kDefinitionBytesMax)
            return core::fail(core::Errc::kInvalid, "standard input: more than {} bytes",
                              kDefinitionBytesMax);
    }
}

}  // namespace

core::Result<core::Json> read_definition(const std::string& file) {
    TRY_ASSIGN(const std::string text, read_text(file));
    auto json = core::Json::parse(text);
    if (!json) return core::pass(std::move(json), file == "-" ? "standard input" : file);
    return json;
}

}  // namespace smackd::cmd
