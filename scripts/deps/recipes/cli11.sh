mkdir -p "$OUT/include" "$OUT/lib"
cp -r include/CLI "$OUT/include"
