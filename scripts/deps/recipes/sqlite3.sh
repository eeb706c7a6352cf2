# The amalgamation is made from the source tree (needs tclsh), then compiled with our options.
./configure --disable-shared
make sqlite3.c
options=(
    -DSQLITE_THREADSAFE=2               # one connection per thread, no lock inside
    -DSQLITE_DQS=0                      # "double quotes" are names, never strings
    -DSQLITE_DEFAULT_WAL_SYNCHRONOUS=1
    -DSQLITE_DEFAULT_MEMSTATUS=0
    -DSQLITE_ENABLE_API_ARMOR
    -DSQLITE_ENABLE_MATH_FUNCTIONS
    -DSQLITE_LIKE_DOESNT_MATCH_BLOBS
    -DSQLITE_MAX_EXPR_DEPTH=100
    -DSQLITE_OMIT_DEPRECATED
    -DSQLITE_OMIT_LOAD_EXTENSION
    -DSQLITE_OMIT_SHARED_CACHE
    -DSQLITE_USE_ALLOCA
    -DSQLITE_USE_URI=0
)
static_library "$OUT/lib/libsqlite3.a" "${options[@]}" -- sqlite3.c
install -Dm644 sqlite3.h "$OUT/include/sqlite3.h"
