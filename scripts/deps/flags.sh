# Compilers and flags for every dependency. All objects are position independent: smackd is a static PIE.
# Sourced by build; part of every dependency's key.
export CC=clang-19 CXX=clang++-19 AR=llvm-ar-19 RANLIB=llvm-ranlib-19
export CFLAGS="-O2 -g1 -fPIC -fstack-protector-strong -fcf-protection -ffunction-sections -fdata-sections \
-D_FORTIFY_SOURCE=2 -Wno-everything"
export CXXFLAGS="$CFLAGS -std=c++23 -stdlib=libc++"

# static_library LIB FLAGS -- SOURCES: compiles C and C++ sources in parallel into one archive.
static_library() {
    local lib=$1 flags=() objects=() source
    shift
    while [[ $1 != -- ]]; do flags+=("$1"); shift; done
    shift
    for source in "$@"; do
        local object=obj/${source//\//_}.o
        objects+=("$object")
        case $source in
            *.c) echo "$CC $CFLAGS ${flags[*]} -c $source -o $object" ;;
            *) echo "$CXX $CXXFLAGS ${flags[*]} -c $source -o $object" ;;
        esac
    done >commands
    mkdir -p obj "$(dirname "$lib")"
    xargs -P "$JOBS" -d '\n' -n 1 bash -c <commands
    $AR rcs "$lib" "${objects[@]}"
}
export -f static_library
