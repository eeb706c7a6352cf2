// The terminal or pipes of a command that talks with a program elsewhere: what comes in, how large the
// terminal is, and the signals that end it.
#pragma once

#include <termios.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "core/result.h"
#include "net/loop.h"
#include "net/sync.h"

namespace smackd::cmd {

inline constexpr size_t kConsolePieceBytesMax = 16 * 1024;
inline constexpr int kSignalExitBase =
    128;  ///< the exit code of what a signal ended is above it, as in shells

struct TerminalSize {
    uint32_t rows = 24;
    uint32_t columns = 80;
};
/// Of the terminal at standard output or input; the default without one.
TerminalSize terminal_size();

/// Passes keys on as they are typed, ^C among them, until it dies. Standard input must be a terminal.
class RawMode {
 public:
    RawMode();
    ~RawMode();
    RawMode(const RawMode&) = delete;
    RawMode& operator=(const RawMode&) = delete;

 private:
    termios before_{};
    bool changed_ = false;
};

/// What happens at this end: read by a thread of its own, told on a loop.
struct ConsoleEvent {
    enum class Kind : uint8_t { kInput, kEndOfInput, kResized };
    Kind kind = Kind::kInput;
    std::string bytes{};
};

class Console {
 public:
    /// Blocks the signals that a Console waits for, in this thread and those it starts: before any is.
    static void block_signals();

    /// From now on signals arrive here; until begin() one that asks this process to end does so at once.
    /// `loop` outlives it.
    explicit Console(net::Loop& loop);
    /// Stops at once; what was not read stays for others.
    ~Console();
    Console(const Console&) = delete;
    Console& operator=(const Console&) = delete;

    net::Loop& loop() { return loop_; }
    /// Starts reading: standard input when it is wanted.
    void begin(bool read_input);
    /// The next piece of input (no more is read until it was taken), its end, or a change of size.
    net::Task<core::Result<ConsoleEvent>> next();
    /// The number of the signal that asks this process to end, once it comes.
    net::Task<core::Result<int>> stopped();

 private:
    void watch();
    bool read_piece();
    void read_signal();
    void tell(ConsoleEvent event);

    struct Told;  // on the loop
    net::Loop& loop_;
    std::shared_ptr<Told> told_;  // with what is posted and not yet run
    std::atomic<bool> begun_ = false;
    std::atomic<bool> wanted_ = false;  // of input
    bool taken_ = false;                // the last piece of it, by next()
    int signals_ = -1;
    int wake_ = -1;
    std::atomic<bool> closing_ = false;
    std::thread thread_;
};

}  // namespace smackd::cmd
