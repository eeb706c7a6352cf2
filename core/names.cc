#include "core/names.h"

#include <algorithm>

#include "core/utf8.h"

namespace smackd::core {
namespace {

constexpr size_t kHostNameBytesMax = 253;
constexpr size_t kLabelBytesMax = 63;
constexpr size_t kUserNameBytesMax = 63;
constexpr size_t kPrincipalBytesMax = 255;
constexpr size_t kPrincipalComponentsMax = 4;
constexpr size_t kKeyBytesMax = 128;
constexpr size_t kPathBytesMax = 512;
constexpr std::string_view kTaskPrincipal = "task:";

bool is_lower(char c) {
    return c >= 'a' && c <= 'z';
}
bool is_upper(char c) {
    return c >= 'A' && c <= 'Z';
}
bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

std::string_view shown(std::string_view text) {
    return text.substr(0, 64);
}

/// True when every dot-separated label is 1-63 characters of `allowed` or '-' and neither starts nor ends
/// with '-'.
template <class Allowed>
bool labels_are(std::string_view name, Allowed allowed) {
    while (true) {
        const size_t dot = name.find('.');
        const std::string_view label = name.substr(0, dot);
        if (label.empty() || label.size() > kLabelBytesMax || label.front() == '-' || label.back() == '-')
            return false;
        for (const char c : label) {
            if (!allowed(c) && c != '-') return false;
        }
        if (dot == std::string_view::npos) return true;
        name.remove_prefix(dot + 1);
    }
}

Result<void> check_account(std::string_view noun, std::string_view name) {
    bool valid =
        !name.empty() && name.size() <= kUserNameBytesMax && (is_lower(name.front()) || name.front() == '_');
    for (const char c : name) {
        valid = valid && (is_lower(c) || is_digit(c) || c == '_' || c == '.' || c == '-');
    }
    if (valid) return {};
    return fail(Errc::kInvalid, "{} name '{}': must match [a-z_][a-z0-9_.-]{{0,62}}", noun, shown(name));
}

bool has_control_characters(std::string_view text) {
    return std::ranges::any_of(text,
                               [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
}

}  // namespace

Result<void> check_machine_name(std::string_view name) {
    const bool valid = name.size() <= kHostNameBytesMax &&
                       labels_are(name, [](char c) { return is_lower(c) || is_digit(c); });
    if (valid) return {};
    return fail(Errc::kInvalid, "machine name '{}': must be a host name in lower case (RFC 1123)",
                shown(name));
}

Result<void> check_user_name(std::string_view name) {
    return check_account("user", name);
}
Result<void> check_group_name(std::string_view name) {
    return check_account("group", name);
}

Result<void> check_realm_name(std::string_view name) {
    const bool valid = name.size() <= kHostNameBytesMax &&
                       labels_are(name, [](char c) { return is_upper(c) || is_digit(c); });
    if (valid) return {};
    return fail(Errc::kInvalid, "realm '{}': must be a domain name in upper case, such as EXAMPLE.COM",
                shown(name));
}

Result<void> check_principal_name(std::string_view name) {
    const size_t at = name.find('@');
    if (name.size() > kPrincipalBytesMax || at == std::string_view::npos) {
        return fail(Errc::kInvalid, "principal '{}': must be NAME@REALM of at most {} bytes", shown(name),
                    kPrincipalBytesMax);
    }
    TRY(check_realm_name(name.substr(at + 1)));
    size_t components = 1;
    bool valid = at > 0 && name[0] != '/' && name[at - 1] != '/';
    for (size_t i = 0; i < at; ++i) {
        if (name[i] == '/') valid = valid && ++components <= kPrincipalComponentsMax && name[i - 1] != '/';
        valid = valid && name[i] > ' ' && name[i] < 0x7F && name[i] != '\\';
    }
    if (valid) return {};
    return fail(Errc::kInvalid,
                "principal '{}': needs 1 to {} components of printable ASCII before the realm", shown(name),
                kPrincipalComponentsMax);
}

Result<void> check_key(std::string_view field, std::string_view name) {
    bool valid = !name.empty() && name.size() <= kKeyBytesMax;
    for (const char c : name) {
        valid = valid && (is_lower(c) || is_upper(c) || is_digit(c) || std::string_view("_.:/-").contains(c));
    }
    if (valid) return {};
    return fail(Errc::kInvalid, "{} '{}': must be 1 to {} characters of [a-zA-Z0-9_.:/-]", field, shown(name),
                kKeyBytesMax);
}

Result<void> check_path(std::string_view path) {
    if (path == "/") return {};
    bool valid =
        path.size() >= 2 && path.size() <= kPathBytesMax && path.front() == '/' && path.back() != '/';
    std::string_view rest = valid ? path.substr(1) : std::string_view{};
    while (valid && !rest.empty()) {
        const size_t slash = rest.find('/');
        const std::string_view component = rest.substr(0, slash);
        valid = !component.empty() && component != "." && component != "..";
        for (const char c : component) valid = valid && (is_lower(c) || is_digit(c) || c == '-' || c == '.');
        rest = slash == std::string_view::npos ? std::string_view{} : rest.substr(slash + 1);
    }
    if (valid) return {};
    return fail(Errc::kInvalid, "path '{}': must be '/' or /components of [a-z0-9-.], without '.' or '..'",
                shown(path));
}

std::string task_principal(std::string_view task) {
    return std::string(kTaskPrincipal) + std::string(task);
}

std::optional<std::string_view> task_of_principal(std::string_view principal) {
    if (!principal.starts_with(kTaskPrincipal) || principal.size() == kTaskPrincipal.size())
        return std::nullopt;
    return principal.substr(kTaskPrincipal.size());
}

Result<void> check_text(std::string_view field, std::string_view text, size_t bytes_max) {
    if (text.size() > bytes_max) {
        return fail(Errc::kInvalid, "{}: {} bytes, the limit is {}", field, text.size(), bytes_max);
    }
    if (!is_utf8(text) || has_control_characters(text))
        return fail(Errc::kInvalid, "{}: must be UTF-8 without control characters", field);
    return {};
}

}  // namespace smackd::core
