#include "core/wire/serialize.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/message_lite.h>
#include <google/protobuf/stubs/logging.h>

namespace smackd::wire {

void silence_library() {
    google::protobuf::SetLogHandler(nullptr);
}

core::Bytes serialize(const google::protobuf::MessageLite& message) {
    core::Bytes bytes;
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    message.SerializeToCodedStream(&coded);
    coded.Trim();
    return bytes;
}

}  // namespace smackd::wire
