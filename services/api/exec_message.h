// What goes over the WebSocket of /smack/v1/tasks/{id}/exec; no I/O. Server and command line share it.
//
//   client: text   {"words": ["sh", "-c", "..."], "env": {}, "user": "", "cwd": "", "tty": true, "rows": 24,
//                   "columns": 80}    first and once; all but words may be left out
//           binary 0 and bytes       its standard input
//           text   {"resize": {"rows": 50, "columns": 132}}, {"end": true} (of its input)
//   server: binary 1 and bytes       its standard output, 2 and bytes its standard error (never with a tty)
//           text   {"exit": {"code": 3}} or {"exit": {"signal": 9}}                   then Close 1000
//                  {"error": {"code", "message"}}, with "exit" when it could not be started: 127 not found,
//                  126 else; then another Close
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "core/json.h"
#include "core/wire/task.pb.h"
#include "net/http/websocket.h"

namespace smackd::services {

inline constexpr size_t kExecWordsMax = 1024;
inline constexpr size_t kExecVariablesMax = 256;
inline constexpr int64_t kExecRowsMax = 2000;  ///< and columns: no screen is larger
inline constexpr int64_t kExecRowsDefault = 24;
inline constexpr int64_t kExecColumnsDefault = 80;
/// Of one binary message, its first byte besides.
inline constexpr size_t kExecPieceBytesMax = 64 * core::kKiB;

enum class ExecStreamByte : uint8_t { kInput = 0, kOutput = 1, kErrorOutput = 2 };

// ---- what a client says

/// The first message. kInvalid names the field and the rule.
core::Result<wire::ShimExec> exec_from_message(const net::http::WebSocketMessage& message);
/// Those after it.
core::Result<wire::ShimExecInput> exec_input_from_message(const net::http::WebSocketMessage& message);

core::Json exec_to_json(const wire::ShimExec& exec);
core::Json exec_resize_to_json(uint32_t rows, uint32_t columns);
core::Json exec_end_to_json();

// ---- what a server says

core::Bytes exec_piece(ExecStreamByte stream, core::BytesView bytes);
/// {"exit"}, and {"error"} when it could not be started.
core::Json exec_exit_to_json(const wire::ShimExecExit& exit);
core::Json exec_error_to_json(const core::Error& error);

/// One message of a server.
struct ExecNews {
    std::string output{};
    bool error_stream = false;
    std::optional<int> exit_code{};  ///< 128 and the number for a signal; the last news, as is the next
    std::optional<core::Error> error{};
};
core::Result<ExecNews> exec_news_from_message(const net::http::WebSocketMessage& message);

}  // namespace smackd::services
