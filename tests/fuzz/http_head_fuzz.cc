// Heads of requests and their targets: no crash, and cutting the bytes differently changes nothing.

#include <cstdlib>

#include "net/http/parser.h"

namespace {

using smackd::net::http::parse_target;
using smackd::net::http::Parser;

struct Outcome {
    Parser::State state;
    size_t taken = 0;
    std::string target;
    std::string fields;
    bool operator==(const Outcome&) const = default;
};

Outcome parse(std::string_view bytes, size_t step) {
    Parser parser(Parser::Kind::kRequest, {4096, 50, 10'000});
    Outcome outcome{Parser::State::kHead, 0, "", ""};
    while (outcome.taken < bytes.size()) {
        size_t taken = parser.feed(bytes.substr(outcome.taken, step));
        outcome.taken += taken;
        if (parser.state() == Parser::State::kDone || parser.state() == Parser::State::kFailed || taken == 0)
            break;
    }
    outcome.state = parser.state();
    if (outcome.state == Parser::State::kFailed) return {Parser::State::kFailed, 0, "", ""};
    outcome.target = parser.head().target;
    for (const auto& [name, value] : parser.head().headers.fields())
        outcome.fields += name + ":" + value + "\n";
    return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::string_view bytes(reinterpret_cast<const char*>(data), size);
    Outcome whole = parse(bytes, size == 0 ? 1 : size);
    if (!(whole == parse(bytes, 1))) std::abort();
    auto target =
        parse_target(whole.state == Parser::State::kFailed ? bytes : std::string_view(whole.target));
    if (target &&
        (target->path.empty() || target->path[0] != '/' || target->path.find("/../") != std::string::npos)) {
        std::abort();
    }
    return 0;
}
