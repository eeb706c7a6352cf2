#include "core/images/registry_auth.h"

#include <algorithm>

#include "core/ascii.h"
#include "core/json.h"

namespace smackd::core::images {

namespace {

bool is_token_character(char c) {
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return true;
    return std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool equal_ignoring_case(std::string_view left, std::string_view right) {
    return std::ranges::equal(left, right, [](char a, char b) { return ascii_lower(a) == ascii_lower(b); });
}

/// A cursor over a field value.
class Scanner {
 public:
    explicit Scanner(std::string_view text) : left_(text) {}
    bool done() const { return left_.empty(); }
    char peek() const { return left_.empty() ? '\0' : left_.front(); }
    void skip_blanks() {
        while (peek() == ' ' || peek() == '\t') left_.remove_prefix(1);
    }
    bool take(char c) {
        if (peek() != c || left_.empty()) return false;
        left_.remove_prefix(1);
        return true;
    }
    std::string_view token() {
        size_t length = 0;
        while (length < left_.size() && is_token_character(left_[length])) ++length;
        std::string_view found = left_.substr(0, length);
        left_.remove_prefix(length);
        return found;
    }
    /// token68 (RFC 9110 section 11.2) or the rest of a token: what a scheme may have instead of parameters.
    void skip_token68() {
        while (is_token_character(peek()) || peek() == '/' || peek() == '=') left_.remove_prefix(1);
    }
    Result<std::string> quoted() {
        std::string text;
        while (!left_.empty() && peek() != '"') {
            take('\\');
            if (left_.empty()) break;
            const char c = peek();
            if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) break;
            text.push_back(c);
            left_.remove_prefix(1);
        }
        if (!take('"')) return fail(Errc::kInvalid, "WWW-Authenticate: a quoted string does not end");
        return text;
    }
    /// True when `NAME = VALUE` is next: a parameter, and neither a scheme nor a token68 ("abc==").
    bool parameter_next() const {
        Scanner ahead(left_);
        if (ahead.token().empty()) return false;
        ahead.skip_blanks();
        if (!ahead.take('=')) return false;
        ahead.skip_blanks();
        return !ahead.done() && ahead.peek() != '=' && ahead.peek() != ',';
    }

 private:
    std::string_view left_;
};

struct Parameters {
    std::string realm, service, scope;
    bool has_realm = false, has_service = false, has_scope = false;

    Result<void> set(std::string_view name, std::string value) {
        struct Slot {
            std::string_view name;
            std::string& text;
            bool& given;
        };
        for (const Slot& slot : {Slot{"realm", realm, has_realm}, Slot{"service", service, has_service},
                                 Slot{"scope", scope, has_scope}}) {
            if (!equal_ignoring_case(name, slot.name)) continue;
            if (slot.given) return fail(Errc::kInvalid, "WWW-Authenticate: {} stands twice", slot.name);
            slot.given = true;
            slot.text = std::move(value);
        }
        return {};
    }
};

Result<Parameters> scan_parameters(Scanner& scanner) {
    Parameters parameters;
    while (scanner.parameter_next()) {
        const std::string_view name = scanner.token();
        scanner.skip_blanks();
        scanner.take('=');
        scanner.skip_blanks();
        std::string value;
        if (scanner.take('"')) {
            TRY_ASSIGN(value, scanner.quoted());
        } else {
            value = scanner.token();
        }
        TRY(parameters.set(name, std::move(value)));
        scanner.skip_blanks();
        while (scanner.take(',')) scanner.skip_blanks();
    }
    return parameters;
}

bool printable_ascii(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; });
}

}  // namespace

Result<std::vector<Challenge>> parse_challenges(std::string_view value) {
    if (value.size() > kChallengeBytesMax) {
        return fail(Errc::kInvalid, "WWW-Authenticate: longer than {} bytes", kChallengeBytesMax);
    }
    std::vector<Challenge> challenges;
    Scanner scanner(value);
    for (;;) {
        scanner.skip_blanks();
        while (scanner.take(',')) scanner.skip_blanks();
        if (scanner.done()) return challenges;
        const std::string_view scheme = scanner.token();
        if (scheme.empty()) return fail(Errc::kInvalid, "WWW-Authenticate: a scheme is missing");
        const bool spaced = scanner.peek() == ' ' || scanner.peek() == '\t';
        scanner.skip_blanks();
        if (spaced && !scanner.done() && scanner.peek() != ',' && !scanner.parameter_next())
            scanner.skip_token68();
        scanner.skip_blanks();
        TRY_ASSIGN(Parameters found, scan_parameters(scanner));
        const bool basic = equal_ignoring_case(scheme, "basic");
        if (!basic && !equal_ignoring_case(scheme, "bearer")) continue;
        challenges.push_back({basic ? Challenge::Scheme::kBasic : Challenge::Scheme::kBearer,
                              std::move(found.realm), std::move(found.service), std::move(found.scope)});
    }
}

Result<TokenAnswer> parse_token_answer(std::string_view text) {
    auto json = Json::parse(text);
    if (!json) return pass(std::move(json), "token");
    const Json& document = *json;
    TokenAnswer answer;
    answer.token = document["token"].as_string();
    if (answer.token.empty()) answer.token = document["access_token"].as_string();
    if (answer.token.empty() || answer.token.size() > kTokenBytesMax || !printable_ascii(answer.token)) {
        return fail(Errc::kInvalid, "token: must be a string of 1 to {} printable characters",
                    kTokenBytesMax);
    }
    const Json& life = document["expires_in"];
    if (life.is_null()) return answer;
    if (!life.is_number() || life.as_number() < 0) return fail(Errc::kInvalid, "expires_in: must be seconds");
    const double bounded = std::min(life.as_number(), static_cast<double>(kTokenLifeMaxSeconds));
    answer.life_seconds = static_cast<int64_t>(bounded);
    return answer;
}

std::string registry_error_text(std::string_view body) {
    constexpr size_t kTextMax = 200;
    auto json = Json::parse(body);
    if (!json) return {};
    const Json::Array& errors = (*json)["errors"].as_array();
    if (errors.empty()) return {};
    std::string text = errors[0]["message"].as_string();
    if (text.empty()) text = errors[0]["code"].as_string();
    std::erase_if(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
    if (text.size() > kTextMax) text.resize(kTextMax);
    return text;
}

}  // namespace smackd::core::images
