make -C lib -j "$JOBS" libzstd.a ZSTD_LEGACY_SUPPORT=0 ZSTD_NO_ASM=1
mkdir -p "$OUT/include" "$OUT/lib"
cp lib/libzstd.a "$OUT/lib"
cp lib/zstd.h lib/zstd_errors.h "$OUT/include"
