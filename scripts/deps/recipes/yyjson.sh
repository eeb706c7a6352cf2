# One C file and its header. No file access by path, no non-standard JSON.
static_library "$OUT/lib/libyyjson.a" -Isrc -DYYJSON_DISABLE_NON_STANDARD=1 -- src/yyjson.c
install -Dm644 src/yyjson.h "$OUT/include/yyjson.h"
