# The protocol core alone: no libuv back end, no compression; disk and network are smackd's own raft_io.
autoreconf -i
./configure --enable-static --disable-shared --disable-uv --without-lz4 --disable-benchmark --disable-fixture
make -j "$JOBS" libraft.la
install -Dm644 .libs/libraft.a "$OUT/lib/libraft.a"
mkdir -p "$OUT/include"
cp include/raft.h "$OUT/include"
