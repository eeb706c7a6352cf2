# Headers only, taken out of a Debian archive (architecture independent text).
mkdir -p "$OUT/include" "$OUT/lib"
cp -r usr/include/toml++ "$OUT/include"
