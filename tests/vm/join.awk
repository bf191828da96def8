# SPDX-License-Identifier: MIT
# Joins the TAP of several programs, each between "# begin NAME" and "# end NAME STATUS", into one. Renumbers; a program that ended
# without a plan, or badly without a failed test, is a failure of its own. The number of tests goes to stderr.
/^# begin / { name = $3; begun = 1; plan = failed = 0 }
/^# end / { begun = 0 }
/^1\.\.[1-9]/ { plan = 1; next }
/^TAP version/ || /^1\.\./ { next }
/^(not )?ok / {
	if ($1 == "not") failed = 1
	n++
	sub(/ok [0-9]+ /, "ok " n " " name ": ")
}
/^# end / && (!plan || ($4 != 0 && !failed)) { print "not ok " ++n " " name ": ended with status " $4 " and " (plan ? "no failed test" : "no plan") }
/^# (begin|end) / { next }
{ print }
END {
	if (begun) print "not ok " ++n " " name ": did not end"
	print n > "/dev/stderr"
}
