# SPDX-License-Identifier: Apache-2.0
#
# tests/bench/lib/results.sh - reading the JSON lines of mdbench and iobench, for awk. Sourced; the
# text of the functions goes in front of a program: awk "$results_awk"'...'.
#
#	field(NAME)	a value of the line that awk is at; "" when it has none
#	median(LIST)	of numbers with blanks between; "-" of none
results_awk='
function field(name,    m) {
	if (!match($0, "\"" name "\":\"?[^,\"}]*")) return ""
	m = substr($0, RSTART, RLENGTH)
	sub(/^"[^"]*":"?/, "", m)
	return m
}
function median(list,    v, n, i, k, t) {
	n = split(list, v, " ")
	if (!n) return "-"
	for (i = 2; i <= n; i++)
		for (k = i; k > 1 && v[k - 1] + 0 > v[k] + 0; k--) { t = v[k]; v[k] = v[k - 1]; v[k - 1] = t }
	return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
}
'
