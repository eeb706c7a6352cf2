// What a starting process and the one that waits for it say to each other: descriptors one way, a failure the
// other way, and the end of the channel when the program is executed.
#pragma once

#include <optional>
#include <vector>

#include "services/agent/descriptor.h"
#include "services/agent/step.h"

namespace smackd::agent {

/// Both ends close at execve.
struct DescriptorChannel {
    Descriptor ours{};
    Descriptor theirs{};
};
Stepped<DescriptorChannel> make_descriptor_channel();

/// At most 250; waits for nobody.
Stepped<void> send_descriptors(int channel, const std::vector<int>& fds);
/// Waits; exactly `count`, or the other end is gone (EPIPE).
Stepped<std::vector<Descriptor>> receive_descriptors(int channel, size_t count);

void send_failure(int channel, const StepError& error);

/// What came last.
struct StartReport {
    std::optional<StepError> failure{};  ///< none: executed
    std::vector<Descriptor> received{};  ///< descriptors that came before
};
/// Waits until the other end is closed.
StartReport receive_start_report(int channel);

}  // namespace smackd::agent
