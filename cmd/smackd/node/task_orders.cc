#include "cmd/smackd/node/task_orders.h"

namespace smackd::cmd {

using core::Bytes;
using core::BytesView;
using core::Errc;
using core::Result;

namespace {

Result<Bytes> answer_task_log(LocalTasks& tasks, BytesView request) {
    wire::ReadTaskLog wanted;
    if (!wanted.ParseFromArray(request.data(), static_cast<int>(request.size())))
        return core::fail(Errc::kInvalid, "task.log: no wire.ReadTaskLog");
    const auto stream = wanted.error_stream() ? agent::LogStream::kStderr : agent::LogStream::kStdout;
    TRY_ASSIGN(agent::LogPiece piece,
               tasks.read_log(wanted.task(), stream, wanted.offset(), wanted.length()));
    wire::TaskLogPiece answer;
    answer.set_offset(piece.offset);
    answer.set_bytes(std::move(piece.bytes));
    answer.set_end(piece.end);
    return answer.SerializeAsString();
}

Result<Bytes> answer_node_usage(LocalTasks& tasks, BytesView request) {
    wire::ReadNodeUsage wanted;
    if (!wanted.ParseFromArray(request.data(), static_cast<int>(request.size())))
        return core::fail(Errc::kInvalid, "node.usage: no wire.ReadNodeUsage");
    wire::NodeUsageSamples answer;
    for (const services::UsageSample& sample : tasks.usage(wanted.since_ms())) {
        wire::NodeUsageSamples::Sample& row = *answer.add_samples();
        row.set_time_ms(sample.time_ms);
        row.set_cpu_share(sample.cpu_share);
        row.set_memory_used_bytes(sample.memory_used_bytes);
        row.set_memory_total_bytes(sample.memory_total_bytes);
    }
    return answer.SerializeAsString();
}

}  // namespace

Result<Bytes> answer_order(LocalTasks* tasks, std::string_view method, BytesView request) {
    if (tasks == nullptr) return core::fail(Errc::kUnavailable, "this node is stopping");
    if (method == kTaskLogOrder) return answer_task_log(*tasks, request);
    if (method == kNodeUsageOrder) return answer_node_usage(*tasks, request);
    return core::fail(Errc::kUnsupported, "this node's version knows no order '{}'", method.substr(0, 64));
}

Bytes task_log_request(const std::string& task, agent::LogStream stream, uint64_t offset, size_t length) {
    wire::ReadTaskLog request;
    request.set_task(task);
    request.set_error_stream(stream == agent::LogStream::kStderr);
    request.set_offset(offset);
    request.set_length(length);
    return request.SerializeAsString();
}

Result<agent::LogPiece> task_log_piece(BytesView answer) {
    wire::TaskLogPiece piece;
    if (!piece.ParseFromArray(answer.data(), static_cast<int>(answer.size())))
        return core::fail(Errc::kCorrupt, "the node's answer is no wire.TaskLogPiece");
    return agent::LogPiece{piece.offset(), piece.bytes(), piece.end()};
}

Bytes node_usage_request(int64_t since_ms) {
    wire::ReadNodeUsage request;
    request.set_since_ms(since_ms);
    return request.SerializeAsString();
}

Result<std::vector<services::UsageSample>> node_usage_samples(BytesView answer) {
    wire::NodeUsageSamples told;
    if (!told.ParseFromArray(answer.data(), static_cast<int>(answer.size())))
        return core::fail(Errc::kCorrupt, "the node's answer is no wire.NodeUsageSamples");
    std::vector<services::UsageSample> samples;
    for (const wire::NodeUsageSamples::Sample& row : told.samples())
        samples.push_back(
            {row.time_ms(), row.cpu_share(), row.memory_used_bytes(), row.memory_total_bytes()});
    return samples;
}

}  // namespace smackd::cmd
