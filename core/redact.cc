#include "core/redact.h"

#include <algorithm>
#include <array>

#include "core/ascii.h"

namespace smackd::core {
namespace {

constexpr std::array<std::string_view, 11> kSecretWords = {
    "password",      "passwd",  "passphrase", "secret",      "token",       "credential",
    "authorization", "api_key", "apikey",     "private_key", "recovery_key"};
// Settings and fields that are about one.
constexpr std::array<std::string_view, 3> kNoSecrets = {"token_life_s", "token_file", "token_issuer"};
constexpr std::array<std::string_view, 4> kSchemes = {"bearer", "negotiate", "basic", "digest"};
constexpr size_t kBase64Least = 40;  // 240 bits
constexpr size_t kRecoveryGroup = 4;
constexpr size_t kRecoveryGroupsLeast = 6;

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_word(char c) {
    return is_letter(c) || is_digit(c) || c == '_' || c == '-' || c == '.';
}
bool is_base64(char c) {
    return is_letter(c) || is_digit(c) || c == '+' || c == '/' || c == '_' || c == '-' || c == '=';
}
bool is_hex(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

std::string_view run_of(std::string_view text, bool (*fits)(char)) {
    return text.substr(0, static_cast<size_t>(std::ranges::find_if_not(text, fits) - text.begin()));
}

bool names_a_secret(std::string_view word) {
    const std::string lower = ascii_lower(word);
    if (std::ranges::any_of(kNoSecrets, [&](std::string_view one) { return lower.ends_with(one); }))
        return false;
    return std::ranges::any_of(kSecretWords, [&](std::string_view one) { return lower.contains(one); });
}

bool is_scheme(std::string_view word) {
    return std::ranges::contains(kSchemes, ascii_lower(word));
}

/// "ABCD-EFGH-...": groups of four.
bool is_recovery_key(std::string_view word) {
    size_t groups = 0;
    for (size_t at = 0; at + kRecoveryGroup <= word.size(); at += kRecoveryGroup + 1) {
        const std::string_view group = word.substr(at, kRecoveryGroup);
        if (!std::ranges::all_of(group, [](char c) { return is_digit(c) || (c >= 'A' && c <= 'Z'); }))
            return false;
        ++groups;
        if (at + kRecoveryGroup == word.size()) return groups >= kRecoveryGroupsLeast;
        if (word[at + kRecoveryGroup] != '-') return false;
    }
    return false;
}

/// Of one kind of letter alone it may be a path or a name; keys have all of them.
bool is_random(std::string_view run) {
    if (run.size() < kBase64Least || std::ranges::all_of(run, is_hex)) return false;
    const bool upper = std::ranges::any_of(run, [](char c) { return c >= 'A' && c <= 'Z'; });
    const bool lower = std::ranges::any_of(run, [](char c) { return c >= 'a' && c <= 'z'; });
    return upper && lower && std::ranges::any_of(run, is_digit);
}

class Redactor {
 public:
    explicit Redactor(std::string_view line) : rest_(line) {}

    std::string run() {
        while (!rest_.empty()) step();
        return std::move(out_);
    }

 private:
    void take(size_t count) {
        out_ += rest_.substr(0, count);
        rest_.remove_prefix(count);
    }
    void hide(size_t count) {
        out_ += kRedacted;
        rest_.remove_prefix(std::min(count, rest_.size()));
    }

    void step() {
        if (rest_.starts_with("://")) return user_of_url();
        const std::string_view run = run_of(rest_, is_base64);
        const std::string_view word = run_of(rest_, is_word);
        if (word.starts_with("eyJ") && std::ranges::count(word, '.') == 2) return hide(word.size());
        if (is_recovery_key(word)) return hide(word.size());
        if (is_random(run)) return hide(run.size());
        if (word.empty()) return take(1);
        take(word.size());
        if (names_a_secret(word)) value();
        if (is_scheme(word) && rest_.starts_with(" ")) {
            take(1);
            hide(run_of(rest_, [](char c) { return c != ' ' && c != '"' && c != '\''; }).size());
        }
    }

    /// Behind a word that names a secret: what stands behind = or :, in quotes or not.
    void value() {
        size_t at = 0;
        while (at < rest_.size() && (rest_[at] == ' ' || rest_[at] == '"' || rest_[at] == '\'')) ++at;
        if (at >= rest_.size() || (rest_[at] != '=' && rest_[at] != ':')) return;
        ++at;
        while (at < rest_.size() && rest_[at] == ' ') ++at;
        take(at);
        if (rest_.empty()) return;
        const char quote = rest_.front();
        if (quote == '"' || quote == '\'') {
            take(1);
            return hide(std::min(rest_.find(quote), rest_.size()));
        }
        std::string_view bare =
            run_of(rest_, [](char c) { return c != ' ' && c != ',' && c != '}' && c != '&'; });
        // "Authorization: Bearer abc"
        if (is_scheme(bare) && rest_.size() > bare.size()) bare = rest_;
        hide(bare.size());
    }

    void user_of_url() {
        take(3);
        const std::string_view host =
            run_of(rest_, [](char c) { return c != '/' && c != ' ' && c != '"' && c != '?'; });
        const size_t at = host.rfind('@');
        if (at != std::string_view::npos) hide(at);
    }

    std::string_view rest_;
    std::string out_;
};

}  // namespace

std::string redact(std::string_view text) {
    std::string out;
    bool in_pem = false;
    while (!text.empty()) {
        const size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = text.substr(0, end);
        const bool pem = in_pem || line.contains("-----BEGIN ");
        in_pem = pem && !line.contains("-----END ");
        out += pem ? std::string(kRedacted) : Redactor(line).run();
        if (end < text.size()) out += '\n';
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return out;
}

}  // namespace smackd::core
