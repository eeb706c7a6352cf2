# The lite runtime only: messages without reflection, descriptors or text format.
cd src
lite=(any_lite arena arenastring arenaz_sampler extension_set generated_enum_util generated_message_tctable_lite
    generated_message_util implicit_weak_message inlined_string_field io/coded_stream io/io_win32 io/strtod
    io/zero_copy_stream io/zero_copy_stream_impl io/zero_copy_stream_impl_lite map message_lite parse_context
    repeated_field repeated_ptr_field stubs/bytestream stubs/common stubs/int128 stubs/status stubs/statusor
    stubs/stringpiece stubs/stringprintf stubs/structurally_valid stubs/strutil stubs/time wire_format_lite)
sources=("${lite[@]/#/google/protobuf/}")
static_library "$OUT/lib/libprotobuf-lite.a" -I. -DHAVE_PTHREAD -- "${sources[@]/%/.cc}"
mkdir -p "$OUT/include"
find google \( -name '*.h' -o -name '*.inc' \) | grep -v -e /compiler/ -e _unittest -e /testing/ |
    tar -cf - -T - | tar -xf - -C "$OUT/include"
