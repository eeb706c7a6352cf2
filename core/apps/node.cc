#include "core/apps/node.h"

namespace smackd::apps {

void add(wire::Resources& sum, const wire::Resources& more) {
    sum.set_cpus_milli(sum.cpus_milli() + more.cpus_milli());
    sum.set_memory_bytes(sum.memory_bytes() + more.memory_bytes());
    sum.set_disk_bytes(sum.disk_bytes() + more.disk_bytes());
    sum.set_gpus(sum.gpus() + more.gpus());
}

void set_drain(Node& node, const wire::DrainNode& drain, int64_t now_ms) {
    const int64_t since_ms = now_ms - drain.start_ms();
    if (since_ms < 0) {
        node.drain_changes_ms = drain.start_ms();
        return;
    }
    const int64_t length_ms = drain.length_ms();
    const int64_t deadline_ms = drain.deadline_ms();
    if (length_ms != 0 && since_ms >= length_ms) return;
    node.draining = true;
    node.drain_is_over = deadline_ms != 0 && since_ms >= deadline_ms;
    const bool deadline_comes = deadline_ms != 0 && !node.drain_is_over;
    const bool deadline_first = deadline_comes && (length_ms == 0 || deadline_ms < length_ms);
    const int64_t next_ms = deadline_first ? deadline_ms : length_ms;
    if (next_ms != 0) node.drain_changes_ms = drain.start_ms() + next_ms;
}

}  // namespace smackd::apps
