// Heads of requests and responses, and targets: no crash, and cutting the bytes differently changes nothing.

#include <cstdlib>

#include "net/http/parser.h"

namespace {

using smackd::net::http::parse_target;
using smackd::net::http::Parser;

struct Outcome {
    Parser::State state = Parser::State::kHead;
    size_t taken = 0;
    int status = 0;
    std::string target;
    std::string fields;
    bool operator==(const Outcome&) const = default;
};

Outcome parse(Parser::Kind kind, std::string_view bytes, size_t step) {
    Parser parser(kind, {4096, 50, 10'000});
    Outcome outcome;
    while (outcome.taken < bytes.size()) {
        size_t taken = parser.feed(bytes.substr(outcome.taken, step));
        outcome.taken += taken;
        if (parser.state() == Parser::State::kDone || parser.state() == Parser::State::kFailed || taken == 0)
            break;
    }
    outcome.state = parser.state();
    if (outcome.state == Parser::State::kFailed)
        return {.state = Parser::State::kFailed, .target = {}, .fields = {}};
    outcome.target = parser.head().target;
    outcome.status = parser.head().status;
    for (const auto& [name, value] : parser.head().headers.fields())
        outcome.fields += name + ":" + value + "\n";
    return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::string_view bytes(reinterpret_cast<const char*>(data), size);
    constexpr auto kRequest = Parser::Kind::kRequest;
    constexpr auto kResponse = Parser::Kind::kResponse;
    const size_t all = size == 0 ? 1 : size;
    const Outcome whole = parse(kRequest, bytes, all);
    if (!(whole == parse(kRequest, bytes, 1))) std::abort();
    if (!(parse(kResponse, bytes, all) == parse(kResponse, bytes, 1))) std::abort();
    auto target =
        parse_target(whole.state == Parser::State::kFailed ? bytes : std::string_view(whole.target));
    if (target &&
        (target->path.empty() || target->path[0] != '/' || target->path.find("/../") != std::string::npos)) {
        std::abort();
    }
    return 0;
}
