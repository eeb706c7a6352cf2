// What client and server say over the WebSocket of a program beside a task: the first byte chooses text or
// binary.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/assert.h"
#include "core/wire/serialize.h"
#include "services/api/exec_message.h"

using namespace smackd;
using namespace smackd::services;
using net::http::WebSocketMessage;
using Kind = WebSocketMessage::Kind;

namespace {

void check_first(const WebSocketMessage& message) {
    const auto exec = exec_from_message(message);
    if (!exec) return;
    SMACK_ASSERT(exec->words_size() > 0 && !exec->words(0).empty());
    SMACK_ASSERT(exec->rows() > 0 && exec->rows() <= kExecRowsMax && exec->columns() <= kExecRowsMax);
    // A zero byte would end what the kernel is given.
    const auto whole = [](const std::string& text) { return !text.contains('\0'); };
    SMACK_ASSERT(std::ranges::all_of(exec->words(), whole) && whole(exec->user()) &&
                 whole(exec->working_directory()));
    for (const auto& variable : exec->environment())
        SMACK_ASSERT(whole(variable.name()) && whole(variable.value()) && !variable.name().contains('='));
    const auto again = exec_from_message({.kind = Kind::kText, .bytes = exec_to_json(*exec).dump()});
    SMACK_ASSERT(again && wire::serialize(*again) == wire::serialize(*exec));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    const WebSocketMessage message{.kind = data[0] % 2 == 0 ? Kind::kBinary : Kind::kText,
                                   .bytes = {reinterpret_cast<const char*>(data) + 1, size - 1}};
    check_first(message);
    const auto input = exec_input_from_message(message);
    SMACK_ASSERT(!input || input->end() || input->rows() > 0 || message.kind == Kind::kBinary);
    const auto news = exec_news_from_message(message);
    SMACK_ASSERT(!news || !news->exit_code || (*news->exit_code >= 0 && *news->exit_code <= 255));
    return 0;
}
