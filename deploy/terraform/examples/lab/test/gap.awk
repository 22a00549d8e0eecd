# The longest time without a served request, from lines "SECONDS ok|no" since time start: from the last that was served before a failure to
# the first that was served after it. Prints seconds and failures; "open" instead of seconds if service has not come back.
$1 < start { if ($2 == "ok") last = $1; next }
$2 == "no" { failed++; down = 1; if (!last) last = $1; next }
$2 == "ok" {
  if (down && $1 - last > longest) longest = $1 - last
  last = $1
  down = 0
}
END {
  if (down) printf "open %d\n", failed
  else printf "%.2f %d\n", longest, failed
}
